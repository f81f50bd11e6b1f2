"""Every command ends by its deadline when an API server accepts and never answers, with code 5 and nothing changed.

All of them run at once, for all that they do is wait; how long is in `Patience`. They need no real part: they are here
for the minute that they take.
"""

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from black_hole import Tap, tap
from kubernetes_standin import serving
from paper import MODEL as FIXTURE
from paper_cluster import MODEL, PaperCluster

from mmcicd_jenkins.adapters.kubernetes.tries import Patience

pytestmark = pytest.mark.real

# What a command does besides: its start, the ledger, and a machine on which twelve others start.
BESIDES = 60.0
COMMANDS = (
    "promote --shared --env production --version 1 --yes --reason x",
    "rollback --shared --env production --reason x",
    "rollback --offline --shared --env production --reason x",
    "reconcile --shared --reason x",
    "serve --shared --env production",
    "status --shared",
    "stage canary --model double --env production --version 1",
    "stage smoke --model double --env production",
    "stage monitor --model double --env production",
    "stage rollback --model double --env production",
    f"render kubernetes --diff --env production --image registry.example/ml/{MODEL}@sha256:{'0' * 64}",
)


@dataclass
class Hole:
    """A repository whose cluster is a hole; what is started in it runs in a copy, so that no two write into one ledger."""

    site: PaperCluster
    tap: Tap
    kubeconfig: Path
    copies: int = 0

    def start(self, words: str) -> tuple[subprocess.Popen[str], float]:
        self.copies += 1
        folder = self.site.base.parent / f"copy-{self.copies}"
        shutil.copytree(self.site.base, folder, symlinks=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "mmcicd_jenkins", *words.split()],
            cwd=folder / "repo",
            env={**self.site.variables, "KUBECONFIG": str(self.kubeconfig)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return process, time.monotonic()


@pytest.fixture(scope="module")
def hole(tmp_path_factory):
    """Two versions went to production while the cluster answered."""
    base = tmp_path_factory.mktemp("hole") / "base"
    base.mkdir()
    with serving() as standin, pytest.MonkeyPatch.context() as patch, tap("") as way:
        patch.setenv("MODEL_FIXTURE", str(FIXTURE))
        site = PaperCluster(base, standin).make()
        for factor in ("0.81", "0.82"):
            site.edit(factor)
            site.road()
        for version in (1, 2):
            site.stage("promote", version=version)
        config = site.repo / "mmcicd.yaml"
        server = f"http://{way.address}"
        config.write_text(config.read_text().replace(standin.address, server))
        yield Hole(site, way, standin.kubeconfig(base, server=server))


@pytest.fixture(scope="module")
def ended(hole):
    """Command -> its code, seconds and words."""
    started = [hole.start(words) for words in COMMANDS]
    return {words: end(one) for words, one in zip(COMMANDS, started, strict=True)}


def end(started):
    process, began = started
    try:
        said, _ = process.communicate(timeout=2 * (Patience().budget + BESIDES))
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        return None, time.monotonic() - began, said
    return process.returncode, time.monotonic() - began, said


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_ends_by_its_deadline(ended, words):
    code, seconds, said = ended[words]
    assert code == 5, said
    assert seconds < Patience().budget + BESIDES
    assert "Traceback" not in said
    assert "did not answer" in said or "cannot be asked" in said


def test_a_command_that_waits_for_nothing_can_be_stopped(hole):
    process, _ = hole.start("rollback --offline --shared --env production --reason x")
    hole.tap.swallowed.clear()
    assert hole.tap.swallowed.wait(60), "it never asked"
    began = time.monotonic()
    process.terminate()
    said, _ = process.communicate(timeout=30)
    assert time.monotonic() - began < 4
    assert process.returncode == 143, said
