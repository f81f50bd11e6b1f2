"""`mmcicdw` with our own wheel, locked against the real package index: installed once, then nothing is asked again.

Aspects: hashes of all that it needs; no network call when cached, as the kernel sees it; disks that are full or
read-only. Twenty at once, killed and tampered with: tests/cli/test_wrapper_lock.py.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = """\
models:
  m:
    data: {numbers: {url: numbers.csv, label: y, test_size: 0.4}}
    train: {command: "true", requirements: ""}
    evaluate: {command: "true"}
    gates: [accuracy >= 0.5]
environments: {production: {approval: {by: [somebody]}}}
jenkins: {cli: "WHEEL"}
"""

pytestmark = pytest.mark.real


def copy_of_the_source(folder: Path) -> Path:
    """Building writes into the tree that it builds."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("mmcicd_jenkins", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def build_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    done = subprocess.run(
        [*command, str(copy_of_the_source(folder / "source"))], capture_output=True, text=True, check=False
    )
    if "No matching distribution" in done.stderr:
        pytest.skip("no package index can be reached: connect to one, or set PIP_INDEX_URL")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that carries the wheel and its lock."""
    folder = tmp_path_factory.mktemp("wrapper")
    wheel = build_wheel(folder)
    root = folder / "checkout"
    root.mkdir()
    shutil.copy(wheel, root)
    (root / "numbers.csv").write_text("a,y\n1,0\n2,1\n")
    (root / "mmcicd.yaml").write_text(CONFIG.replace("WHEEL", wheel.name))
    command = [sys.executable, "-m", "mmcicd_jenkins", "generate", "--lock-cli"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def cache(repository: Path) -> Path:
    made = repository.parent / "cli"
    done = run(repository, made, "--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mmcicd-jenkins ")
    return made


def run(repository: Path, cache: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "MMCICD_PYTHON": sys.executable, **variables}
    environment["MMCICD_CLI_HOME"] = str(cache)
    return subprocess.run(
        [repository / "mmcicdw", *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_everything_is_locked_by_hash(repository: Path) -> None:
    lines = (repository / "mmcicdw.lock").read_text().replace("\\\n", "").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]

    assert len(wanted) > 20
    assert [line for line in wanted if "--hash=sha256:" not in line] == []


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is missing: apt-get install strace")
def test_once_there_the_kernel_sees_no_network(repository: Path, cache: Path, tmp_path: Path) -> None:
    seen = tmp_path / "calls"
    traced = ["strace", "-f", "-qq", "-e", "trace=network,execve", "-o", str(seen)]
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MMCICD_CLI_HOME": str(cache)}
    done = subprocess.run(
        [*traced, repository / "mmcicdw", "--version"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine does not allow strace")

    calls = seen.read_text()
    assert done.stdout.startswith("mmcicd-jenkins ")
    assert "socket(" not in calls
    assert "connect(" not in calls
    # The wrapper, then the program: no other process was started to look.
    assert len({line.split()[0] for line in calls.splitlines()}) == 1
    assert len([line for line in calls.splitlines() if " = 0" in line and "execve(" in line]) == 2


def test_the_program_works_without_an_index(repository: Path, cache: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [repository / "mmcicdw", "generate", "digits", "--example", "image"],
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_INDEX_URL": "http://127.0.0.1:9", "MMCICD_CLI_HOME": str(cache)},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "digits/mmcicd.lock").exists()


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root: sudo make test-real")
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], check=False)
    if done.returncode:
        pytest.skip("this machine does not let root mount: run on a machine of your own")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_is_said_and_left_clean(repository: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    with mounted(small, "size=40m"):
        done = run(repository, small / "cli", "--version")

        assert done.returncode == 5
        assert "No space left on device" in done.stderr
        assert "fix    free some space, or MMCICD_CLI_HOME=" in done.stderr
        assert "Traceback" not in done.stderr
        assert [p for p in (small / "cli").iterdir() if p.is_dir()] == []


def test_a_home_that_cannot_be_written_is_said(repository: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with mounted(home, "ro", "size=1m"):
        done = run(repository, home / "cli", "--version")

    assert done.returncode == 5
    assert "Read-only file system" in done.stderr
    assert "fix    MMCICD_CLI_HOME=" in done.stderr
    assert "Traceback" not in done.stderr
