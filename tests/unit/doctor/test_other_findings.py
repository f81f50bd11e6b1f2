"""What doctor makes of git, stores, environments, this machine and models."""

import pytest

from mmcicd_jenkins.checks import git, machine, models, places, registry
from mmcicd_jenkins.checks.finding import Told
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.ports.doctor import Disk, Gpus, Port, Repository

URL = "ssh://git@git.example/ml/churn.git"
MAIN = Repository(branches={"main": "0" * 40})
GOOD = git.Generated(main="main", uncommitted=(), unpushed=())
HOOK = "https://j.example/git/notifyCommit"


def severities(findings):
    return [finding.severity for finding in findings]


def source(repository=MAIN, **changed):
    state = git.Generated(**{"main": "main", "uncommitted": (), "unpushed": (), **changed})
    return list(git.source(repository, URL, state, ""))


def test_a_source_with_everything_pushed():
    assert [f.what for f in source()] == ["source (read)"]
    assert [f.what for f in source(Repository(branches=MAIN.branches, push=True))] == ["source (read, push)"]
    assert [f.what for f in source(Repository(branches=MAIN.branches, push=False))] == [
        "source (read, no push)"
    ]


@pytest.mark.parametrize(("branches", "word"), [({}, "it is empty"), ({"master": "0"}, "it has master")])
def test_a_source_without_the_protected_branch(branches, word):
    (found,) = source(Repository(branches=branches))
    assert found.severity == "fail"
    assert word in found.what
    assert "jenkins.main" in found.fix


def test_files_that_no_build_would_find():
    assert source(uncommitted=("mmcicdw",), unpushed=("mmcicdw",))[0].what.startswith("not committed")
    assert source(unpushed=("mmcicdw",))[0].what.startswith("not on main")


def test_a_commit_that_is_not_here_leaves_it_open():
    found = source(unpushed=None)
    assert severities(found) == ["warn", "ok"]
    assert "git fetch" in found[0].fix


def ledger(push, *, ours=False, branches=None):
    repository = Repository(branches=branches or {}, push=push, why_no_push="denied")
    return list(git.ledger(repository, ours=ours, where=""))


def test_a_ledger_that_may_be_written_and_whose_protection_cannot_be_seen():
    found = ledger(True, branches={"mmcicd/churn": "0", "main": "1"})
    assert severities(found) == ["ok", "warn"]
    assert "1 with history" in found[0].what
    assert "protect" in found[1].fix


def test_a_laptop_that_may_not_write_the_ledger_is_right_and_ops_is_not():
    assert severities(ledger(False)) == ["ok", "warn"]
    failed = ledger(False, ours=True)
    assert severities(failed) == ["ok", "fail"]
    assert "denied" in failed[1].what
    assert severities(ledger(None)) == ["ok"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, ["ok", "warn"]), (404, ["fail"]), (403, ["fail"]), (200, ["warn"]), (500, ["warn"])],
)
def test_whether_a_push_reaches_jenkins(status, expected):
    found = list(git.hook("git", status, HOOK, URL))
    assert severities(found) == expected
    assert all(finding.fix for finding in found if finding.severity != "ok")


def test_a_hosting_service_needs_its_own_address():
    assert severities(git.hook("github", 405, "https://j.example/github-webhook/", URL)) == ["ok", "warn"]
    (found,) = git.hook("gitlab", 403, "https://j.example/gitlab-webhook/post", URL)
    assert found.severity == "fail"
    assert "gitlab" in found.what


def test_a_laptop_without_git():
    assert git.here(None).severity == "fail"
    assert git.here(()).severity == "ok"


@pytest.mark.parametrize(
    ("disk", "severity"),
    [
        (Disk(path="/s", writable=False, free_bytes=2**40), "fail"),
        (Disk(path="/s", writable=True, free_bytes=2**20), "fail"),
        (Disk(path="/s", writable=True, free_bytes=2**30), "warn"),
        (Disk(path="/s", writable=True, free_bytes=2**40), "ok"),
    ],
)
def test_a_folder_is_writable_and_has_room(disk, severity):
    (found,) = places.folder(Told("store", "store"), "store", disk)
    assert found.severity == severity
    assert severity == "ok" or "/s" in found.what


def needs(**why_not):
    return [
        registry.Need(repository=repository, right=right, why_not=why_not.get(right, ""))
        for repository, right in (
            ("mmcicd.ops", "read"),
            ("mmcicd.ops", "write"),
            ("churn", "write"),
            ("churn", "delete"),
        )
    ]


def test_a_registry_that_gives_all_rights_is_told_with_its_account():
    found = list(registry.rights("r.example/ml", "anna (from /h/config.json)", needs(), ""))
    assert [one.what for one in found] == [
        "r.example answers, asked as anna (from /h/config.json)",
        "pushes to mmcicd.ops, churn",
    ]


def test_each_right_that_lacks_is_one_warning_with_its_remedy():
    lacking = needs(write="DENIED", delete="deletion is switched off there")
    found = list(registry.rights("r.example/ml", "anna", lacking, "mmcicd.yaml:3:1"))
    assert severities(found) == ["ok", "warn", "warn"]
    assert found[1].what == "no right to push to r.example/ml/mmcicd.ops, r.example/ml/churn: DENIED"
    assert "docker login r.example" in found[1].fix
    assert "gc" in found[2].fix
    assert found[2].where == "mmcicd.yaml:3:1"


def test_a_login_that_may_nothing_is_told_once():
    lacking = needs(read="not anna", write="not anna", delete="not anna")
    found = list(registry.rights("r.example/ml", "anna", lacking, "mmcicd.yaml:3:1"))
    assert [f.severity for f in found] == ["ok", "warn"]
    assert found[1].what == "no right to anything below r.example/ml: not anna"
    assert found[1].fix.startswith("docker login r.example")


def test_ports_are_free_or_ours():
    def look(*ports):
        return list(places.ports("production", ports, ""))

    assert severities(look(Port(number=1, free=True), Port(number=2, free=True))) == ["ok"]
    assert "serving" in look(Port(number=1, free=False, ours=True))[0].what
    taken = look(Port(number=8501, free=False), Port(number=8500, free=True))
    assert severities(taken) == ["fail"]
    assert "8501" in taken[0].what
    assert "sport = :8501" in taken[0].fix


def test_places_that_nobody_looked_at_are_warnings_with_the_command_that_looks():
    assert "doctor --here" in places.elsewhere(["staging", "production"], "").fix
    assert (
        places.beside(Told("store", "store"), "the store", "../x.store", "store: {}", "").severity == "fail"
    )


def test_programs_of_this_machine():
    good = {"python": "3.11.7", "git": "2.39.5", "venv": "there"}
    assert severities(machine.programs(good)) == ["ok", "ok"]
    for broken in ({"python": "3.10.4"}, {"git": ""}, {"git": "2.17.1"}, {"venv": ""}):
        assert severities(machine.programs({**good, **broken})).count("fail") == 1, broken


GPU = "NVIDIA A100-SXM4-40GB, 40960 MiB, 550.54"


@pytest.mark.parametrize(
    ("gpus", "wanted", "here", "expected"),
    [
        (Gpus(), {"m": 0}, True, []),
        (Gpus(), {"m": 1}, False, []),
        (Gpus(), {"m": 1}, True, ["warn"]),
        (Gpus(names=(GPU,), installed=True), {"m": 1}, True, ["ok"]),
        (Gpus(names=(GPU,), installed=True), {}, True, ["ok"]),
        (Gpus(names=(GPU,), installed=True), {"m": 2}, True, ["warn"]),
        (Gpus(installed=True, why="Driver/library version mismatch"), {"m": 0}, False, ["fail"]),
    ],
)
def test_gpus(gpus, wanted, here, expected):
    assert severities(machine.gpus(gpus, wanted, "gpu-a100", here=here)) == expected


def test_a_package_index_that_is_not_reached_is_an_outside_failure():
    (found,) = machine.index("Connection refused")
    assert found.severity == "fail"
    assert found.code == 5
    assert severities(machine.index("")) == ["ok"]


NO_ENGINE = OutsideFailed("there is no Docker engine", why="nothing listens there", fix="start it")


@pytest.mark.parametrize(
    ("answer", "needed", "one_kind", "expected"),
    [
        ("28.1", {}, True, ["ok"]),
        (NO_ENGINE, {}, True, ["warn"]),
        (NO_ENGINE, {"image.builder": "package"}, True, ["fail"]),
        (NO_ENGINE, {"image.builder": "package"}, False, ["warn"]),
    ],
)
def test_an_engine_that_is_needed(answer, needed, one_kind, expected):
    found = list(machine.engine(answer, needed, "mmcicd.yaml:4:2", one_kind=one_kind))
    assert severities(found) == expected
    if answer is NO_ENGINE:
        assert found[0].what.startswith("there is no Docker engine (nothing listens there)")
        assert "start it" in found[0].fix
        assert found[0].where == "mmcicd.yaml:4:2"


def test_who_cannot_do_without_an_engine_is_named():
    needed = {"image.verify_with": "verify", "models.churn.train.image": "train"}
    (found,) = machine.engine(NO_ENGINE, needed, "", one_kind=True)
    assert "image.verify_with, models.churn.train.image cannot do without" in found.what
    assert found.code == 5
    (found,) = machine.engine(NO_ENGINE, needed, "", one_kind=False)
    assert "unless this machine runs verify and train" in found.fix


def required(line, *, image="", built_in=True):
    found = (
        None
        if line is None
        else models.Required(file="requirements.txt", line=line, where="requirements.txt:1")
    )
    return severities(models.requirements("churn", found, image=image, built_in=built_in, where=""))


def test_requirements_pin_tensorflow():
    assert required("tensorflow==2.21.0") == []
    assert required("tensorflow @ https://x.example/t.whl") == []
    assert required("tensorflow>=2.16") == ["warn"]
    assert required("") == ["warn"]
    assert required(None) == ["warn"]


def test_requirements_that_are_the_teams_own_business():
    assert required(None, built_in=False) == []
    assert required("", built_in=False) == []
    assert required(None, image="r.example/train:1") == []


def test_data_and_their_lock():
    def state(locked):
        return models.DataState(name="customers", url="a.csv", locked_url=locked)

    assert severities(models.data("churn", [state("a.csv")])) == ["ok"]
    (absent,) = models.data("churn", [state(None)])
    assert absent.severity == "fail"
    assert "data update --model churn" in absent.fix
    (moved,) = models.data("churn", [state("b.csv")])
    assert moved.severity == "fail"
    assert "b.csv" in moved.what


def test_generated_files():
    assert severities(models.generated([])) == ["ok"]
    (found,) = models.generated(["mmcicdw", "README.md"])
    assert found.severity == "fail"
    assert "mmcicdw, README.md" in found.what


def test_images_that_nobody_pinned():
    assert severities(models.images([])) == []
    known = models.NamedImage(name="acme/serving:1", pinned=True)
    assert severities(models.images([known])) == ["ok"]
    (found,) = models.images(
        [known, models.NamedImage(name="acme/train:3", pinned=False, where="mmcicd.yaml:4:2")]
    )
    assert (found.severity, found.where) == ("fail", "mmcicd.yaml:4:2")
    assert "acme/train:3" in found.what
    assert "image update-base" in found.fix
