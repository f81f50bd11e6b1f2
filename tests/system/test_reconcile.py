"""A ledger that was lost: what serves is written into a new one, as far as the store can prove it.

Aspects: both environments; numbers that are never used again; what is not known any more; a second time; a killed one; a
record that the store cannot prove; an environment that is only behind.
"""

import dataclasses
import json
import os
import shutil

import pytest
from paper import commit, make_repository, on_paper
from test_failure_paths import cli
from test_killed_anywhere import drive, update_lock

from mmcicd_jenkins.errors import GateRefused, InputError, IntegrityFailed
from mmcicd_jenkins.ports.offline import Remembered
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.desired import TakenBack
from mmcicd_jenkins.stages import reconcile, run_stage
from mmcicd_jenkins.wiring import open_bench


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Production serves 1, staging 3; 2 was deployed and replaced."""
    base = tmp_path_factory.mktemp("lost")
    make_repository(base / "repo")
    update_lock(base)
    commit(base / "repo", "begin")
    for step in ("road", "promote", "0.85", "road", "0.90", "road"):
        if step.startswith("0"):
            commit(base / "repo", step, factor_txt=step)
        else:
            assert drive(base, step).returncode == 0
    return base


@pytest.fixture
def base(template, tmp_path):
    shutil.copytree(template, tmp_path / "base", symlinks=True)
    return tmp_path / "base"


def reconciled(base, environment):
    bench = open_bench(base / "repo")
    job, ports = bench.job("double", environment=environment, reason="a disk died"), on_paper(bench)
    return reconcile.apply(reconcile.plan(job, reconcile.look(job, ports)), job, ports)


def lose(base):
    shutil.rmtree(base / "repo.ledger.git")


def pointers(base):
    snapshot = open_bench(base / "repo").ledger.snapshot("double")
    return {name: p.serving for name, p in snapshot.pointers.items()}, snapshot


def test_what_serves_comes_back_and_the_road_goes_on(base):
    before = open_bench(base / "repo").ledger.release("double", 1)
    lose(base)
    assert reconciled(base, "staging").detail["adopted"] == [1, 2, 3]
    assert reconciled(base, "production").detail["adopted"] == []
    serving, snapshot = pointers(base)
    assert serving == {"staging": 3, "production": 1}
    assert open_bench(base / "repo").ledger.release("double", 1) == before
    assert set(snapshot.head.revoked) == {"2"}
    assert "events hold, 3 releases" in cli(base, "ledger", "verify")
    assert drive(base, "road").returncode == 0
    commit(base / "repo", "better", factor_txt="0.95")
    assert drive(base, "road").returncode == 0
    assert drive(base, "promote").returncode == 0
    assert pointers(base)[0] == {"staging": 4, "production": 4}


def test_a_second_time_there_is_nothing_to_write(base):
    assert reconciled(base, "production").found
    lose(base)
    reconciled(base, "production")
    seq = pointers(base)[1].head.seq
    assert reconciled(base, "production").found
    assert pointers(base)[1].head.seq == seq


@pytest.mark.parametrize("lost", ["release-double-1", "run-", "double-1"])
def test_what_the_store_cannot_prove_is_not_adopted(base, lost):
    lose(base)
    index = base / "repo.store/index.json"
    document = json.loads(index.read_text())
    names = [
        m.get("annotations", {}).get("org.opencontainers.image.ref.name", "") for m in document["manifests"]
    ]
    kept = [
        m for m, name in zip(document["manifests"], names, strict=True)
        if not (name.startswith(lost) if lost == "run-" else name == lost)
    ]  # fmt: skip
    index.write_text(json.dumps(document | {"manifests": kept}))
    with pytest.raises(InputError, match="nothing can prove what that is"):
        reconciled(base, "production")
    assert pointers(base)[0] == {}


def test_a_version_of_which_nobody_knows_whether_it_was_healthy_never_serves_again(base):
    lose(base)
    reconciled(base, "staging")
    bench = open_bench(base / "repo")
    job = bench.job("double", environment="production", version=2, reason="because")
    with pytest.raises(GateRefused, match="2 was taken back"):
        run_stage("promote", job, on_paper(bench))


def test_a_run_gives_away_no_number_while_the_ledger_is_lost(base):
    lose(base)
    commit(base / "repo", "better", factor_txt="0.95")
    refused = drive(base, "road")
    assert refused.returncode == 75
    assert (
        "by a decision that the ledger does not have; no version was made"
        in json.loads(refused.stderr)["error"]
    )
    assert not (base / "repo.ledger.git").exists()
    reconciled(base, "staging")
    reconciled(base, "production")
    assert drive(base, "road").returncode == 0
    assert pointers(base)[0]["staging"] == 4


def test_a_number_that_two_releases_have_is_not_adopted(base):
    """As after a ledger that was begun anew before anybody noticed."""
    bench = open_bench(base / "repo")
    other = dataclasses.replace(bench.ledger.release("double", 3), version=1)
    lose(base)
    who = history.Who(actor="ada", at="2026-11-24T00:00:00+00:00")
    open_bench(base / "repo").ledger.commit("double", lambda s: history.record(other, s, who))
    with pytest.raises(IntegrityFailed, match="two releases of double have the number 1"):
        reconciled(base, "production")


class Notes:
    """What an environment remembers of a rollback that it did by itself."""

    def __init__(self, *orders):
        self.orders = orders

    def remember(self, _):
        return Remembered(serving=2, previous=None, epoch=9, offline=self.orders)

    def forget(self, _):
        self.orders = ()


def test_a_rollback_without_the_ledger_is_written_down_and_what_it_left_is_revoked(base):
    (base / "repo.serve/staging/target.json").write_text(json.dumps({"double": {"version": 2, "epoch": 9}}))
    notes = Notes(TakenBack(left=3, to=2, epoch=9, at="2026-11-01T02:00:00Z", actor="ann", reason="pager"))
    bench = open_bench(base / "repo")
    job, ports = bench.job("double", environment="staging"), on_paper(bench, offline=lambda _: notes)
    outcome = reconcile.apply(reconcile.plan(job, reconcile.look(job, ports)), job, ports)
    assert outcome.sentence == (
        "staging: 2 was written down as what serves; 3 is revoked, as it was taken back without the ledger"
    )
    serving, snapshot = pointers(base)
    assert serving["staging"] == 2
    assert snapshot.head.revoked["3"] == "rolled back without a ledger by ann: pager"
    assert notes.orders == ()
    with pytest.raises(GateRefused, match="taken back"):
        run_stage("promote", bench.job("double", environment="production", version=3, reason="x"), ports)


def test_notes_that_a_killed_reconcile_left_go_with_the_next(base):
    notes = Notes(TakenBack(left=3, to=2, epoch=1, at="2026-11-01T02:00:00Z", actor="ann"))
    bench = open_bench(base / "repo")
    job, ports = bench.job("double", environment="staging"), on_paper(bench, offline=lambda _: notes)
    assert reconcile.apply(reconcile.plan(job, reconcile.look(job, ports)), job, ports).found
    assert notes.orders == ()


def test_an_environment_that_is_only_behind_is_left_to_serve(base):
    target = base / "repo.serve/production/target.json"
    target.write_text(json.dumps({"double": {"version": 2, "epoch": 1}}))
    assert reconciled(base, "production").found
    assert pointers(base)[0]["production"] == 1


def test_killed_while_it_writes_the_same_command_finishes(base):
    lose(base)
    code = (
        "import sys; sys.path[:0] = [sys.argv[2]]\n"
        "from pathlib import Path; from test_reconcile import reconciled; reconciled(Path(sys.argv[1]), 'production')"
    )
    import subprocess
    import sys

    here = os.path.dirname(__file__)  # noqa: PTH120  a text for the command line
    for place in ("ledger.before-push", "ledger.after-push"):
        killed = subprocess.run(
            [sys.executable, "-c", code, str(base), here],
            env={**os.environ, "MMCICD_TESTING": "1", "MMCICD_FAILPOINTS": f"{place}=kill"}, check=False,
        )  # fmt: skip
        assert killed.returncode in {-9, 0}
    reconciled(base, "production")
    assert pointers(base)[0]["production"] == 1
