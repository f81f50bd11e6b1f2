"""Every command ends by its deadline when an API server accepts and never answers, with code 5 and nothing changed.

All of them run at once, for all that they do is wait; how long is in `Patience`. They need no real part: they are here
for the minute that they take.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from black_hole import tap
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


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Command -> its code, seconds and words; and what the cluster was before and after."""
    base = tmp_path_factory.mktemp("hole") / "base"
    base.mkdir()
    with serving() as standin, pytest.MonkeyPatch.context() as patch, tap("") as hole:
        patch.setenv("MODEL_FIXTURE", str(FIXTURE))
        site = PaperCluster(base, standin).make()
        for factor in ("0.81", "0.82"):
            site.edit(factor)
            site.road()
        for version in (1, 2):
            site.stage("promote", version=version)
        config = site.repo / "mmcicd.yaml"
        server = f"http://{hole.address}"
        config.write_text(config.read_text().replace(standin.address, server))
        kubeconfig = standin.kubeconfig(base, server=server)
        started = [start(base, number, words, site, kubeconfig) for number, words in enumerate(COMMANDS)]
        yield {words: end(process) for words, process in zip(COMMANDS, started, strict=True)}


def start(base: Path, number: int, words: str, site: PaperCluster, kubeconfig: Path):
    """In a copy of the repository, so that no two of them write into one ledger."""
    folder = base.parent / f"copy-{number}"
    shutil.copytree(base, folder, symlinks=True)
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "mmcicd_jenkins", *words.split()],
        cwd=folder / "repo",
        env={**site.variables, "KUBECONFIG": str(kubeconfig), "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return process, began


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
