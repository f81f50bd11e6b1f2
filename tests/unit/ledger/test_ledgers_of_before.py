"""A signed history as the first version wrote it (files/old_ledger.bundle): it reads, holds, and goes on.

Records and heads of that time lack the fields that came later. Their bytes are in signed digests, so a new field may
change neither how they are read nor what their digests are.
"""

import subprocess
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.git.ledger import GitLedger
from mmcicd_jenkins.adapters.signing import DsseSigner, read_trusted
from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.release.chain import PAYLOAD_TYPE
from mmcicd_jenkins.release.history import Who, reserve
from mmcicd_jenkins.release.proof import Trust, prove

FILES = Path(__file__).with_name("files")


@pytest.fixture
def ledger(tmp_path):
    bare = tmp_path / "ledger.git"
    branch = "refs/heads/mmcicd/m"
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
    subprocess.run(
        ["git", "-C", bare, "fetch", "-q", FILES / "old_ledger.bundle", f"{branch}:{branch}"], check=True
    )
    signer = DsseSigner(read_trusted(FILES), None)
    return GitLedger(str(bare), signer=signer, clock=SystemClock())


def proof(ledger):
    signer = DsseSigner(read_trusted(FILES), None)
    trust = Trust(check=lambda *given: signer.check(PAYLOAD_TYPE, *given), zone="laptop", required=True)
    return prove("m", ledger.steps("m"), trust)


def test_it_reads(ledger):
    snapshot = ledger.snapshot("m")
    assert (snapshot.head.versions, snapshot.pointer("production").serving) == (2, 1)
    assert list(snapshot.head.revoked) == ["2"]
    assert ledger.release("m", 1).attestations == {}
    assert ledger.sealed_by("m") == "laptop"


def test_it_holds(ledger):
    found = proof(ledger)
    assert found.breaks == ()
    assert (found.events, found.releases, dict(found.signers)) == (8, 2, {"laptop": 8})


def test_it_goes_on(ledger):
    who = Who(actor="ada", at="2026-02-02T03:04:05+00:00")
    ledger.commit("m", lambda s: reserve(s, "sha256:" + "7" * 64, who)[0])
    assert ledger.snapshot("m").head.versions == 3
    # Written on a machine without the key: only that event is told.
    assert [b.place for b in proof(ledger).breaks] == ["events/000/9.json"]
