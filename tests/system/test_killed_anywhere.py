"""kill -9 at any point of any stage, then the same command again: the same end state as an undisturbed run.

Aspects: every failpoint that a command visits is hit at least once; versions are not lost or given twice; events are
the same; the environment and the ledger agree; no second training of what was stored already.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from paper import MODEL, commit, make_repository

from mmcicd_jenkins.adapters.git.ledger import GitLedger
from mmcicd_jenkins.adapters.signing import DsseSigner
from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.failpoints import FAILPOINTS

DRIVER = Path(__file__).parent / "driver.py"

# In this order, each on what the one before left; `edit` commits a change first.
STEPS = [
    ("road", None),
    ("promote", None),
    ("road", {"factor_txt": "0.90"}),
    ("promote", None),
    ("rollback", None),
]


def drive(base, command, **variables):
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(base / "cache"),
        "MODEL_FIXTURE": str(MODEL),
        "MMCICD_TESTING": "1",
        **variables,
    }
    return subprocess.run(
        [sys.executable, str(DRIVER), str(base / "repo"), command],
        env=environment, capture_output=True, text=True, check=False, cwd=base,
    )  # fmt: skip


def walk(base, *steps, **variables):
    """A history: a factor is committed, everything else is a command that must succeed."""
    for step in steps:
        if step.startswith("0"):
            commit(base / "repo", step, factor_txt=step)
        else:
            done = drive(base, step, **variables)
            assert done.returncode == 0, done.stderr


def update_lock(base):
    subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "data", "update"],
        cwd=base / "repo", check=True, capture_output=True, env={**os.environ, "XDG_CACHE_HOME": str(base / "cache")},
    )  # fmt: skip


def end_state(base):
    """All that must be the same: versions, pointers, the story of events, tags, what serves."""
    ledger = GitLedger(str(base / "repo.ledger.git"), signer=DsseSigner((), None), clock=SystemClock())
    snapshot = ledger.snapshot("double")
    events = [
        (e.kind, e.detail.get("action"), e.detail.get("from"), e.detail.get("to"), e.detail.get("version"))
        for e in ledger.events("double")
    ]
    index = json.loads((base / "repo.store/index.json").read_text())
    tags = sorted(
        m.get("annotations", {}).get("org.opencontainers.image.ref.name", "") for m in index["manifests"]
    )
    return {
        "versions": snapshot.head.versions,
        "revoked": sorted(snapshot.head.revoked),
        "pointers": {
            name: (p.serving, p.epoch, [s.version for s in p.served], p.operation.action, p.operation.phase)
            for name, p in snapshot.pointers.items()
        },
        "events": events,
        "tags": tags,
        "served": {
            place: json.loads((base / f"repo.serve/{place}/target.json").read_text())
            for place in snapshot.pointers
        },
    }


@pytest.fixture(scope="module")
def stations(tmp_path_factory):
    """The state before each step, the visits of each step, and the end state of an undisturbed run."""
    top = tmp_path_factory.mktemp("sweep")
    base = top / "base"
    make_repository(base / "repo")
    update_lock(base)
    commit(base / "repo", "begin")
    made = []
    for number, (command, edit) in enumerate(STEPS):
        if edit:
            commit(base / "repo", "a better factor", **edit)
        shutil.copytree(base, top / f"before-{number}", symlinks=True)
        seen = top / f"seen-{number}"
        done = drive(base, command, MMCICD_FAILPOINTS_SEEN=str(seen))
        assert done.returncode == 0, done.stderr + done.stdout
        visits = seen.read_text().split() if seen.exists() else []
        made.append((command, top / f"before-{number}", visits, end_state(base)))
    return made


def visits_of(stations):
    for number, (_, _, visits, _) in enumerate(stations):
        for name in dict.fromkeys(visits):
            yield number, name, 1
            if visits.count(name) > 1:
                yield number, name, visits.count(name)


def test_the_undisturbed_run_is_what_we_think(stations):
    end = stations[-1][3]
    assert (end["versions"], end["revoked"]) == (2, ["2"])
    assert end["pointers"]["production"][0] == 1
    assert end["served"]["production"]["double"]["version"] == 1


def test_every_failpoint_of_the_pipeline_is_visited(stations):
    visited = {name for _, _, visits, _ in stations for name in visits}
    # Swept elsewhere: the server with a real server, generate with its own files, jobs, the retraining, containers, gc and clusters with theirs.
    others = (
        "serve.",
        "generate.",
        "jobs.",
        "retrain.",
        "docker.",
        "gc.",
        "kubernetes.",
        "canary.",
        "training.",
    )
    elsewhere = {name for name in FAILPOINTS if name.startswith(others)}
    assert set(FAILPOINTS) - elsewhere == visited


def test_kill_at_every_failpoint_then_again(stations, tmp_path):
    failures = []
    for number, name, visit in visits_of(stations):
        command, before, _, expected = stations[number]
        base = tmp_path / "base"
        shutil.copytree(before, base, symlinks=True)
        killed = drive(base, command, MMCICD_FAILPOINTS=f"{name}:{visit}=kill")
        again = drive(base, command)
        place = f"step {number} {command}, {name}:{visit}"
        if killed.returncode != -signal.SIGKILL:
            failures.append(f"{place}: not reached, exit {killed.returncode}")
        elif again.returncode != 0:
            failures.append(f"{place}: again exits {again.returncode}: {again.stderr[-400:]}")
        else:
            found = end_state(base)
            failures += [
                f"{place}: {k} is {found[k]}, expected {expected[k]}"
                for k in expected
                if found[k] != expected[k]
            ]
        shutil.rmtree(base)
    assert not failures, "\n".join(failures)


def test_the_same_commands_again_change_nothing(stations, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(stations[4][1], base, symlinks=True)
    drive(base, "rollback")
    once = end_state(base)
    for command in ("road", "rollback"):
        done = drive(base, command)
        assert done.returncode == 0, done.stderr
        if command == "road":
            assert all(
                outcome["found"]
                for outcome in json.loads(done.stdout)
                if outcome["stage"] in {"data", "train", "package"}
            )
    assert end_state(base) == once
