"""A disk that is really full."""

import contextlib
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.git.ledger import GitLedger
from mmcicd_jenkins.adapters.signing import DsseSigner
from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.release.history import Who, reserve

pytestmark = pytest.mark.real
WHO = Who(actor="ada", at=datetime(2026, 1, 2, tzinfo=UTC).isoformat())


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root: sudo make test-real")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine does not let root mount a tmpfs: run on a machine of your own")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def write(url: Path, number: int) -> int:
    ledger = GitLedger(str(url), signer=DsseSigner((), None), clock=SystemClock(), budget_seconds=5)
    run = f"sha256:{number:064x}"
    return ledger.commit("m", lambda s: reserve(s, run, WHO)[0]).head.versions


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return ballast


def test_a_full_disk_is_told_and_nothing_is_lost(small_disk):
    url = small_disk / "ledger.git"
    assert write(url, 1) == 1
    ballast = fill(small_disk)
    with pytest.raises(OutsideFailed, match="no space left") as caught:
        write(url, 2)
    assert str(url) in caught.value.where
    ballast.unlink()
    assert write(url, 2) == 2


def test_a_disk_that_is_full_from_the_start(small_disk):
    ballast = fill(small_disk)
    with pytest.raises(OutsideFailed):
        write(small_disk / "ledger.git", 1)
    ballast.unlink()
    assert write(small_disk / "ledger.git", 1) == 1
