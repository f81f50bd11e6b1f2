import pytest
from ledger_support import WHO, bare_repository, git, open_ledger, proof, reserve_version, run_id

from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed, Superseded
from mmcicd_jenkins.release import chain
from mmcicd_jenkins.release.history import begin, finish, reserve
from mmcicd_jenkins.release.ledger import Change, Head, Snapshot, release_path
from mmcicd_jenkins.release.seal import manifest_digest


def test_an_unwritten_ledger_reads_as_empty(url):
    ledger = open_ledger(url)
    assert ledger.snapshot("m") == Snapshot(head=Head(model="m"), pointers={})
    assert ledger.release("m", 1) is None
    assert ledger.version_of_run("m", run_id(1)) is None
    assert list(ledger.events("m")) == []
    assert ledger.models() == ()


def test_what_is_written_is_read_back(url):
    ledger = open_ledger(url)
    assert reserve_version(ledger, "m", run_id(1)) == 1
    begun = ledger.commit("m", lambda s: begin(s, "staging", "deploy", 1, WHO))
    done = ledger.commit("m", lambda s: finish(s, "staging", begun.pointer("staging").epoch, WHO))
    assert done.pointer("staging").serving == 1
    other = open_ledger(url)
    assert other.snapshot("m") == done
    assert [e.kind for e in other.events("m")] == ["done", "prepared", "reserved"]
    assert [e.seq for e in other.events("m", 2)] == [3, 2]
    assert list(other.events("m", 0)) == []
    assert other.models() == ("m",)
    assert proof(url, "m").breaks == ()


def test_models_do_not_touch_each_other(url):
    ledger = open_ledger(url)
    reserve_version(ledger, "a", run_id(1))
    before = ledger.snapshot("a")
    reserve_version(ledger, "b", run_id(1))
    assert ledger.snapshot("a") == before
    assert ledger.models() == ("a", "b")


def test_a_ledger_object_sees_what_others_write(url):
    one, two = open_ledger(url), open_ledger(url)
    reserve_version(one, "m", run_id(1))
    assert two.version_of_run("m", run_id(2)) is None
    reserve_version(one, "m", run_id(2))
    assert two.version_of_run("m", run_id(2)) == 2
    assert two.snapshot("m").head.versions == 2


def test_nothing_is_written_when_nothing_is_decided_or_the_decision_fails(url):
    ledger = open_ledger(url)
    reserve_version(ledger, "m", run_id(1))
    before = ledger.snapshot("m")
    assert ledger.commit("m", lambda _: None) == before

    def too_late(_snapshot):
        raise Superseded("a newer decision stands")

    with pytest.raises(Superseded):
        ledger.commit("m", too_late)
    assert ledger.snapshot("m") == before


def test_decide_is_asked_again_when_the_head_moved(url):
    ledger, other = open_ledger(url), open_ledger(url)
    seen = []

    def decide(snapshot):
        seen.append(snapshot.head.seq)
        if len(seen) == 1:
            write_beside(other, snapshot)
        return begin(snapshot, "production", "promote", 1, WHO)

    def write_beside(other, snapshot):
        # The writer in the middle does not queue: its turn is over before ours begins.
        _, commit = other._make_commit(
            snapshot, chain.draft(snapshot, begin(snapshot, "staging", "deploy", 1, WHO), "x")
        )
        assert other._place.swap("refs/heads/mmcicd/m", snapshot.commit, commit, 60).status == 0

    other.snapshot("m")
    written = ledger.commit("m", decide)
    assert seen == [0, 1]
    assert set(written.pointers) == {"staging", "production"}
    assert proof(url, "m").breaks == ()


@pytest.mark.parametrize(
    "name",
    ["", "..", "a/b", "-x", "A", "m\n", "$(id)", "m.lock", "ä", "m;id", "a" * 41, "m ", "refs/heads/x"],
)
def test_hostile_model_names_are_refused_before_git_sees_them(tmp_path, name):
    ledger = open_ledger(tmp_path / "l.git")
    for ask in (ledger.snapshot, lambda n: ledger.release(n, 1), lambda n: ledger.commit(n, lambda _: None)):
        with pytest.raises(InputError):
            ask(name)
    with pytest.raises(InputError):
        next(ledger.events(name))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path",
    [
        "head.json",
        "events/000/9.json",
        "../x.json",
        "/etc/x.json",
        "environments/../head.json",
        "environments/A.json",
        "releases/000/01.json",
        "-x",
        "environments/s.json\n",
        "environments/s.txt",
        "runs/ab/cd.json",
        "",
    ],
)
def test_files_outside_the_layout_are_refused(tmp_path, path):
    ledger = open_ledger(tmp_path / "l.git")
    change = Change(kind="k", at=WHO.at, actor="a", detail={}, head=Head(model="m"), files={path: {}})
    with pytest.raises(InputError):
        ledger.commit("m", lambda _: change)
    assert ledger.snapshot("m").head.seq == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, "\ud800", object(), "x" * 1_100_000])
def test_what_json_cannot_say_is_refused(tmp_path, value):
    ledger = open_ledger(tmp_path / "l.git")
    files = {"environments/s.json": {"x": value}}
    change = Change(kind="k", at=WHO.at, actor="a", detail={"x": value}, head=Head(model="m"), files=files)
    with pytest.raises(InputError):
        ledger.commit("m", lambda _: change)
    assert ledger.snapshot("m").head.seq == 0


@pytest.mark.parametrize("run", ["", "../../head", "sha256:" + "a" * 64 + "\nHEAD", "-x", "sha256:$(id)"])
def test_hostile_run_ids_are_refused(tmp_path, run):
    with pytest.raises(InputError):
        open_ledger(tmp_path / "l.git").version_of_run("m", run)
    with pytest.raises(InputError):
        open_ledger(tmp_path / "l.git").release("m", -1)


def test_a_release_is_never_written_again(url):
    ledger = open_ledger(url)
    change = Change(
        kind="k",
        at=WHO.at,
        actor="a",
        detail={},
        head=Head(model="m", versions=1),
        files={release_path(1): {"a": 1}},
    )
    ledger.commit("m", lambda _: change)
    with pytest.raises(IntegrityFailed, match="never changes"):
        ledger.commit("m", lambda _: change)
    assert ledger.snapshot("m").head.seq == 1


def deploying(ledger, version, documents):
    """As `moving` does: the manifest goes along only when the ledger does not have it yet."""
    digest = manifest_digest(documents)

    def decide(snapshot):
        known = ledger.manifest("m", digest) is not None
        new = () if known else documents
        return begin(snapshot, "staging", "deploy", version, WHO, manifest=digest, documents=new)

    return decide


def test_what_was_applied_is_read_back_and_kept_once(url):
    ledger = open_ledger(url)
    documents = ({"kind": "Deployment", "metadata": {"name": "m-stable"}, "spec": {"ü": [1, 2.5, None]}},)
    digest = manifest_digest(documents)
    assert ledger.manifest("m", digest) is None
    ledger.commit("m", lambda s: reserve(s, run_id(1), WHO)[0])
    for version in (1, 2):
        ledger.commit("m", deploying(ledger, version, documents))
        epoch = ledger.snapshot("m").pointer("staging").epoch
        ledger.commit("m", lambda s, e=epoch: finish(s, "staging", e, WHO))
    assert open_ledger(url).manifest("m", digest) == documents
    assert [s.manifest for s in ledger.snapshot("m").pointer("staging").served] == [digest, digest]
    assert proof(url, "m").breaks == ()


@pytest.mark.parametrize("digest", ["", "../../head", "sha256:" + "a" * 63, "-x"])
def test_hostile_digests_of_manifests_are_refused(tmp_path, digest):
    with pytest.raises(InputError):
        open_ledger(tmp_path / "l.git").manifest("m", digest)


@pytest.mark.parametrize("text", ["$(id)", "`id`", "a\nb", "\x00", "ü" * 100, "'\";--", "\u202e", "-rf"])
def test_hostile_texts_are_data(tmp_path, text):
    ledger = open_ledger(tmp_path / "l.git")
    change = Change(kind=text, at=text, actor=text, detail={text: text}, head=Head(model="m"), files={})
    ledger.commit("m", lambda _: change)
    event = next(ledger.events("m"))
    assert (event.kind, event.at, event.actor, event.detail) == (text, text, text, {text: text})
    assert proof(tmp_path / "l.git", "m").breaks == ()


def test_a_head_that_its_newest_event_did_not_write_stops_every_read(tmp_path):
    url = tmp_path / "l.git"
    ledger = open_ledger(url)
    reserve_version(ledger, "m", run_id(1))
    edit(url, tmp_path / "w", "head.json", '"versions": 1', '"versions": 0')
    with pytest.raises(IntegrityFailed, match="changed by something else"):
        ledger.snapshot("m")
    with pytest.raises(IntegrityFailed):
        ledger.commit("m", lambda s: begin(s, "staging", "deploy", 1, WHO))


def test_the_history_of_another_model_under_this_name_is_refused(tmp_path):
    url = tmp_path / "l.git"
    reserve_version(open_ledger(url), "a", run_id(1))
    git(url, "update-ref", "refs/heads/mmcicd/b", "refs/heads/mmcicd/a")
    with pytest.raises(IntegrityFailed) as caught:
        open_ledger(url).snapshot("b")
    assert "not of 'b'" in caught.value.why


def test_a_branch_that_is_no_ledger_is_refused(tmp_path):
    url = bare_repository(tmp_path / "l.git")
    tree = git(url, "mktree")
    git(url, "update-ref", "refs/heads/mmcicd/m", git(url, "commit-tree", tree, "-m", "x"))
    with pytest.raises(IntegrityFailed, match="not a ledger"):
        open_ledger(url).snapshot("m")


def test_a_ledger_inside_another_repository_is_its_own(tmp_path):
    """git looks in the folders above; the checkout around a ledger must not become the ledger."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled" / "file").write_text("x")
    with pytest.raises(InputError, match="not a git repository"):
        open_ledger(tmp_path / "filled").snapshot("m")
    assert reserve_version(open_ledger(tmp_path / "ledger.git"), "m", run_id(1)) == 1
    assert git(tmp_path, "for-each-ref") == ""


def test_an_empty_folder_becomes_a_ledger(tmp_path):
    (tmp_path / "ledger").mkdir()
    assert reserve_version(open_ledger(tmp_path / "ledger"), "m", run_id(1)) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["ledger"]


def test_a_working_repository_may_hold_the_ledger(tmp_path):
    git(tmp_path, "init", "--quiet")
    assert reserve_version(open_ledger(f"file://{tmp_path}"), "m", run_id(1)) == 1
    assert proof(tmp_path, "m").events == 1


def test_a_sha256_repository_works(tmp_path):
    git(tmp_path, "init", "--quiet", "--bare", "--object-format=sha256", "l.git")
    for number in (1, 2):
        assert reserve_version(open_ledger(tmp_path / "l.git"), "m", run_id(number)) == number
    assert proof(tmp_path / "l.git", "m").breaks == ()


def test_a_missing_remote_repository_says_so(tmp_path, url):
    if not url.startswith("git://"):
        pytest.skip("about remotes")
    with pytest.raises(OutsideFailed) as caught:
        open_ledger(url + "x").commit("m", lambda _: None)
    assert not caught.value.retryable
    assert url in caught.value.where


@pytest.mark.parametrize("url", ["", "--upload-pack=touch x", "ext::sh -c id", "a\nb", "x::y://z"])
def test_hostile_addresses_are_refused(tmp_path, url, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        open_ledger(url).snapshot("m")
    assert list(tmp_path.iterdir()) == []


def edit(url, work, path, old, new, *, message="by hand"):
    """Change a file of a ledger as a person with git would."""
    git(url.parent, "clone", "--quiet", "--branch", "mmcicd/m", str(url), str(work))
    text = (work / path).read_text()
    assert old in text
    (work / path).write_text(text.replace(old, new))
    git(work, "commit", "--quiet", "-am", message)
    git(work, "push", "--quiet", "origin", "mmcicd/m")
