"""A long history costs no more to use than a short one: nothing of it is read."""

import importlib.util
import json
from pathlib import Path

import pytest
from ledger_support import git, git_daemon, open_ledger, proof, reserve_version, run_id

RELEASES = 5_000
GENERATOR = Path(__file__).parents[3] / "benchmarks" / "long_history.py"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("long_history", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def long_ledger(generator, tmp_path_factory):
    url = tmp_path_factory.mktemp("long") / "ledger.git"
    generator.write_history(url, "m", RELEASES)
    return url


@pytest.fixture
def forgetful(long_ledger, tmp_path):
    """The same state, and a head whose parent does not exist: whoever reads history fails."""
    url = tmp_path / "ledger.git"
    git(tmp_path, "clone", "--quiet", "--bare", "--no-local", str(long_ledger), str(url))
    tree = git(url, "rev-parse", "mmcicd/m^{tree}")
    who = "a <a@localhost> 1767225600 +0000"
    commit = f"tree {tree}\nparent {'1' * 40}\nauthor {who}\ncommitter {who}\n\nx\n".encode()
    head = git(url, "hash-object", "-t", "commit", "-w", "--stdin", stdin=commit)
    git(url, "update-ref", "refs/heads/mmcicd/m", head)
    return url


def test_nothing_but_the_proof_reads_the_history(forgetful, generator):
    ledger = open_ledger(forgetful)
    assert ledger.snapshot("m").head.versions == RELEASES
    assert ledger.release("m", 1234) == generator.release("m", 1234)
    assert ledger.version_of_run("m", generator.run_id(4321)) == 4321
    assert [e.seq for e in ledger.events("m", 3)] == [RELEASES, RELEASES - 1, RELEASES - 2]
    assert reserve_version(ledger, "m", run_id(10**9)) == RELEASES + 1


def started(folder: Path) -> list[list[str]]:
    """The command lines of every git that ran, from git's own trace."""
    events = [json.loads(line) for file in sorted(folder.iterdir()) for line in file.read_text().splitlines()]
    return [event["argv"] for event in events if event["event"] == "start"]


def test_a_read_starts_few_processes_however_long_the_history(long_ledger, tmp_path, monkeypatch):
    ledger = open_ledger(long_ledger)
    ledger.models()
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(tmp_path))
    ledger.snapshot("m")
    # The branch, the head, what lies in environments/, the pointers with the newest event.
    assert len(started(tmp_path)) == 4
    ledger.snapshot("m")
    # The branch alone: it did not move.
    assert len(started(tmp_path)) == 5
    ledger.release("m", 77)
    assert len(started(tmp_path)) == 6


def test_a_remote_ledger_sends_the_commits_and_what_is_asked_for(
    long_ledger, generator, tmp_path, monkeypatch
):
    git(long_ledger, "config", "uploadpack.allowFilter", "true")
    with git_daemon(long_ledger.parent) as address:
        monkeypatch.setenv("GIT_TRACE2_EVENT", str(tmp_path))
        ledger = open_ledger(f"{address}/ledger.git")
        assert ledger.snapshot("m").head.versions == RELEASES
        assert ledger.release("m", 1234) == generator.release("m", 1234)
        assert len(list(ledger.events("m", 200))) == 200
        clone = ledger._place._clone
    journeys = [argv for argv in started(tmp_path) if "fetch" in argv]
    # Commits, folders, head, newest event; a release; commits again, and four times up to 64 events.
    assert len(journeys) == 10
    objects = git(clone.folder, "count-objects", "-v").splitlines()
    assert (
        sum(int(line.split()[1]) for line in objects if line.startswith(("count", "in-pack")))
        < RELEASES + 600
    )


def test_the_proof_reads_all_of_it(long_ledger):
    found = proof(long_ledger, "m")
    assert found.breaks == ()
    assert (found.events, found.releases) == (RELEASES, RELEASES)


def test_loose_objects_are_packed_from_time_to_time(generator, tmp_path):
    url = tmp_path / "ledger.git"
    generator.write_history(url, "m", 247)
    for number in range(5):
        reserve_version(open_ledger(url), "m", run_id(number))
    loose = int(git(url, "count-objects").split(" ")[0])
    # Of the two writes after event 250.
    assert 0 < loose < 30
    assert proof(url, "m").breaks == ()
    git(url, "fsck", "--full", "--strict")
