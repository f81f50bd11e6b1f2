"""The whole road on a real registry with TLS and logins that may do the least: CI writes its repository, ops the others.

Aspects: where things lie afterwards; a run of CI is released by ops; what CI evaluated is not believed; a laptop is not
asked; rollback; data whose source moved on; a lost ledger; killed anywhere; a login that may too little.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
import registry
import registry_tokens
from paper import MODEL, commit, make_repository, on_paper
from test_killed_anywhere import DRIVER, update_lock

from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.image.reference import parse_reference
from mmcicd_jenkins.stages import reconcile, run_stage
from mmcicd_jenkins.wiring import open_bench

pytestmark = [pytest.mark.real, registry.needs_registry]

CI = ("prepare", "data", "train", "evaluate")
RELEASE = ("evaluate", "package", "verify", "deploy", "smoke", "propose")
LOGINS = {"ci": "ci-word", "ops": "ops-word", "reader": "reader-word"}


def least(user, repository, actions):
    """What docs/howto/registry.md says that each login needs."""
    writes = {"ci": repository.endswith("mmcicd.ci"), "ops": not repository.endswith("mmcicd.ci")}
    allowed = {"pull", "push", "delete"} if writes.get(user) else {"pull"} if user else set()
    return [action for action in actions if action in allowed]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    with registry_tokens.serve(folder / "tokens", logins=LOGINS, may=least) as tokens:  # noqa: SIM117
        with registry.serve(folder / "registry", tls=True, tokens=tokens) as running:
            yield running


@pytest.fixture
def base(site, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_FIXTURE", str(MODEL))
    make_repository(tmp_path / "repo")
    update_lock(tmp_path)
    commit(tmp_path / "repo", "begin")
    return tmp_path


@pytest.fixture
def root(site, base):
    """Where this test's things lie in the registry."""
    return f"{site.host}/team/{base.parent.name[-8:]}-{base.name[-12:]}".lower().replace("_", "-")


def login(site, root, user):
    return {
        "MMCICD_STORE_REGISTRY": root,
        "MMCICD_STORE_CA": str(site.ca),
        "MMCICD_REGISTRY_USER": user,
        "MMCICD_REGISTRY_PASSWORD": LOGINS[user],
    }


def build(site, root, base, stages, user="ops", *, machine="one", **variables):
    """Some stages in a build of Jenkins that is logged in as `user`, on a machine with a cache of its own."""
    known = {**os.environ, "XDG_CACHE_HOME": str(base / "caches" / machine), **login(site, root, user)}
    bench = open_bench(base / "repo", variables={**known, "JOB_NAME": "j", **variables}, shared=True)
    ports = on_paper(bench)
    return {
        name: run_stage(name, bench.job("double", environment="staging", reason="because"), ports)
        for name in stages
    }


def ci(site, root, base, branch="main", **variables):
    return build(site, root, base, CI, "ci", BRANCH_NAME=branch, **variables)


def repository(site, root, name):
    access = Access(site.host, login(site, root, "reader"), ca=str(site.ca))
    return Repository(parse_reference(f"{root}/{name}"), access)


def kinds(site, root, name):
    return {tag.rstrip("0123456789abcdef").rstrip("-") for tag in repository(site, root, name).tags()}


def fresh(base):
    """What a new workspace has: the commit."""
    shutil.rmtree(base / "repo/.mmcicd", ignore_errors=True)


def promote(site, root, base):
    known = {**os.environ, "XDG_CACHE_HOME": str(base / "caches/one"), **login(site, root, "ops")}
    bench = open_bench(base / "repo", variables=known, shared=True)
    return run_stage("promote", bench.job("double", reason="because"), on_paper(bench))


def test_ci_trains_and_ops_releases_the_same_bytes(site, root, base):
    trained = ci(site, root, base)
    assert not trained["train"].found
    assert kinds(site, root, "mmcicd.ci") == {"run", "ci-evaluation", "data"}
    assert kinds(site, root, "mmcicd.ops") == set()
    fresh(base)
    released = build(site, root, base, RELEASE, machine="ops")
    assert not released["evaluate"].found, "what CI evaluated is not believed"
    assert {"evaluation", "release-double"} <= kinds(site, root, "mmcicd.ops")
    assert "run" not in kinds(site, root, "mmcicd.ops")
    image = repository(site, root, "double").manifest("1")
    assert released["package"].detail["address"] == f"{root}/double@{image[0].digest}"
    assert promote(site, root, base).exit_code == 0
    fresh(base)
    assert ci(site, root, base)["train"].found
    assert build(site, root, base, RELEASE)["package"].found


def test_model_layers_are_mounted_and_never_sent_again(site, root, base):
    ci(site, root, base)
    build(site, root, base, ("evaluate", "package"))
    run = repository(site, root, "mmcicd.ci")
    (tag,) = [tag for tag in run.tags() if tag.startswith("run-")]
    layers = [layer for layer in json.loads(run.manifest(tag)[1])["layers"] if "tar" in layer["mediaType"]]
    assert layers
    for layer in layers:
        assert repository(site, root, "double").blob_size(layer["digest"]) == layer["size"]
        assert f"mount={layer['digest']}" in site.log.replace("%3A", ":")
        assert f"PATCH /v2/{root.partition('/')[2]}/double" not in site.log


def test_a_branch_shares_with_branches_and_main_trains_again(site, root, base):
    assert not ci(site, root, base, "feature/x")["train"].found
    assert ci(site, root, base, "feature/y")["train"].found
    assert not ci(site, root, base, "main")["train"].found
    assert "branch-run" in kinds(site, root, "mmcicd.ci")


def test_a_login_that_may_only_read_is_told_what_it_lacks(site, root, base):
    with pytest.raises(OutsideFailed) as error:
        build(site, root, base, CI, "reader", BRANCH_NAME="main")
    assert "mmcicd.ci" in error.value.where
    assert "MMCICD_REGISTRY_USER" in str(error.value.why) + str(error.value.fix)
    assert not error.value.retryable
    assert LOGINS["reader"] not in str(error.value.to_json())


def test_a_build_of_a_fork_prepares_without_a_login(site, root, base):
    nobody = {"MMCICD_REGISTRY_USER": "", "MMCICD_REGISTRY_PASSWORD": "", "HOME": str(base)}
    outcome = build(site, root, base, ("prepare", "test"), BRANCH_NAME="PR-1", CHANGE_ID="1", **nobody)
    assert not outcome["prepare"].detail["trained"]
    with pytest.raises(OutsideFailed):
        build(site, root, base, ("data", "train"), BRANCH_NAME="PR-1", CHANGE_ID="1", **nobody)


def test_ci_cannot_write_where_ops_writes(site, root, base):
    with pytest.raises(OutsideFailed, match=r"login|let"):
        build(site, root, base, ("data", "train"), "ci")


def test_a_laptop_asks_nobody(site, root, base):
    known = {**os.environ, "XDG_CACHE_HOME": str(base / "cache"), **login(site, root, "ops")}
    bench = open_bench(base / "repo", variables=known)
    for name in CI:
        run_stage(name, bench.job("double"), on_paper(bench))
    assert (base / "repo.store/index.json").exists()
    assert f"{root.partition('/')[2]}/" not in site.log


def test_back_to_the_version_before(site, root, base):
    build(site, root, base, (*CI, *RELEASE))
    promote(site, root, base)
    commit(base / "repo", "better", factor_txt="0.95")
    fresh(base)
    ci(site, root, base)
    build(site, root, base, RELEASE)
    promote(site, root, base)
    known = {**os.environ, "XDG_CACHE_HOME": str(base / "caches/new"), **login(site, root, "ops")}
    bench = open_bench(base / "repo", variables=known, shared=True)
    run_stage("rollback", bench.job("double", reason="because"), on_paper(bench))
    assert open_bench(base / "repo").ledger.snapshot("double").pointer("production").serving == 1


def test_locked_data_come_from_the_registry_when_their_source_moved_on(site, root, base):
    ci(site, root, base)
    (base / "repo/data/numbers.csv").write_text("x,y\n1,2\n")
    commit(base / "repo", "other data, the old lock")
    fresh(base)
    outcomes = build(site, root, base, ("data", "evaluate"), machine="elsewhere")
    assert "76 train" in outcomes["data"].sentence or outcomes["data"].exit_code == 0


def test_a_lost_ledger_is_written_anew_from_what_the_registry_proves(site, root, base):
    build(site, root, base, (*CI, *RELEASE))
    promote(site, root, base)
    shutil.rmtree(base / "repo.ledger.git")
    known = {**os.environ, "XDG_CACHE_HOME": str(base / "caches/one"), **login(site, root, "ops")}
    bench = open_bench(base / "repo", variables=known, shared=True)
    job, ports = bench.job("double", environment="production", reason="a disk died"), on_paper(bench)
    outcome = reconcile.apply(reconcile.plan(job, reconcile.look(job, ports)), job, ports)
    assert outcome.detail["adopted"] == [1]


def drive(base, **variables):
    return subprocess.run(
        [sys.executable, str(DRIVER), str(base / "repo"), "road"],
        env={**os.environ, "XDG_CACHE_HOME": str(base / "cache"), "MMCICD_TESTING": "1", "PAPER_SHARED": "1", **variables},
        capture_output=True, text=True, check=False, cwd=base,
    )  # fmt: skip


@pytest.mark.parametrize(
    "failpoint",
    ["store.blob-written", "store.blob-written:2", "store.before-tag", "store.after-tag", "store.before-tag:3",
     "package.before-image", "store.after-tag:5", "package.after-image", "verify.before-record"],
)  # fmt: skip
def test_killed_anywhere_the_same_command_goes_on(site, root, base, failpoint):
    known = login(site, root, "ops")
    assert drive(base, **known, MMCICD_FAILPOINTS=f"{failpoint}=kill").returncode == -9
    done = drive(base, **known)
    assert done.returncode == 0, done.stderr
    assert open_bench(base / "repo").ledger.snapshot("double").pointer("staging").serving == 1
    assert list(repository(site, root, "double").tags()).count("1") == 1
