"""`mmcicdw`: the pinned version from a cached environment, made once however many start; clear when it cannot.

The wheels are built here by hand and need nothing, so no package index is asked.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mmcicd_jenkins.render.wrapper import is_wheel, pinned_version, wheel_of, wrapper_text

MAIN = """
import os, sys
def main():
    if sys.argv[1:] == ["--version"]:
        print("mmcicd-jenkins {version}")
        return 0
    print("{version}", sys.argv[1:], sys.stdin.read() if "stdin" in sys.argv else "")
    return int(os.environ.get("EXIT", "0"))
"""


def make_wheel(folder: Path, version: str, main: str = MAIN) -> Path:
    about = f"mmcicd_jenkins-{version}.dist-info"
    wheel = folder / f"mmcicd_jenkins-{version}-py3-none-any.whl"
    files = {
        "mmcicd_stand_in.py": main.replace("{version}", version),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: mmcicd-jenkins\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[console_scripts]\nmmcicd-jenkins = mmcicd_stand_in:main\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"]))
    return wheel


class Repository:
    """A folder with a wrapper, and an environment in which nothing else is installed."""

    def __init__(self, folder: Path, requirement: str) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.path = folder / "bin"
        self.path.mkdir(parents=True)
        for tool in ("cksum", "tr", "dirname", "mkdir", "sh", "cat"):
            (self.path / tool).symlink_to(shutil.which(tool) or "")
        (self.path / "python3").symlink_to(sys.executable)
        self.wrapper = folder / "mmcicdw"
        carried = folder / wheel_of(requirement) if is_wheel(requirement) else None
        wheel = carried.read_bytes() if carried and carried.exists() else None
        self.wrapper.write_text(wrapper_text(requirement, wheel=wheel), encoding="utf-8")
        self.wrapper.chmod(0o755)

    def start(self, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": str(self.path),
            "HOME": str(self.folder),
            "MMCICD_CLI_HOME": str(self.cache),
            # No index: what is not in a wheel cannot be installed.
            "PIP_NO_INDEX": "1",
            **variables,
        }
        return subprocess.Popen(
            [str(self.wrapper), *arguments],
            env=environment,
            cwd=cwd or self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, text: str = "", **variables: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **variables)
        out, err = process.communicate(text, timeout=120)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository that carries its wheel, used once so that the environment is there."""
    folder = tmp_path_factory.mktemp("wrapper")
    (folder / "wheels").mkdir()
    make_wheel(folder / "wheels", "1.2.3")
    repository = Repository(folder, "wheels/mmcicd_jenkins-1.2.3-py3-none-any.whl")
    # Many builds of one agent start at once; one of them makes the environment.
    started = [repository.start("first", str(n), cwd=Path("/")) for n in range(4)]
    finished = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0] * 4, finished
    assert sorted(out for out, _ in finished) == [f"1.2.3 ['first', '{n}'] \n" for n in range(4)]
    assert sum("installing" in err for _, err in finished) == 1
    return repository


def test_arguments_input_and_exit_code_pass_through(ready: Repository) -> None:
    hostile = ["stdin", "a b", "$(id)", "it's", "", "--x=\n", "*"]

    code, out, err = ready.run(*hostile, text="typed", EXIT="4")

    assert code == 4
    assert out == f"1.2.3 {hostile} typed\n"
    assert err == ""


def test_the_second_time_needs_neither_index_nor_python(ready: Repository) -> None:
    assert ready.run("x", MMCICD_PYTHON="/nowhere/python")[:2] == (0, "1.2.3 ['x'] \n")


def test_a_wheel_with_extras(tmp_path: Path) -> None:
    """The extras are pip's; the bytes that count are the file's."""
    (tmp_path / "wheels").mkdir()
    wheel = make_wheel(tmp_path / "wheels", "1.2.3")
    repository = Repository(tmp_path, f"wheels/{wheel.name}[tensorflow]")
    assert repository.run("x")[:2] == (0, "1.2.3 ['x'] \n")

    code, _, err = repository.run("x", MMCICD_CLI=f"{tmp_path}/gone.whl[tensorflow]")
    assert (code, "gone.whl[tensorflow] is not there" in err) == (5, True)
    assert repository.run("x", MMCICD_CLI=f"{wheel}[tensorflow]")[:2] == (0, "1.2.3 ['x'] \n")


def test_a_half_made_environment_is_made_again(ready: Repository) -> None:
    (made,) = [p for p in ready.cache.iterdir() if p.is_dir()]
    (made / "ready").unlink()
    shutil.rmtree(made / "bin")

    assert ready.run("x")[:2] == (0, "1.2.3 ['x'] \n")


def test_other_bytes_under_the_same_name_are_another_environment(ready: Repository, tmp_path: Path) -> None:
    other = make_wheel(tmp_path, "1.2.3", MAIN.replace("sys.argv[1:], ", '"other", '))

    code, out, _ = ready.run("x", MMCICD_CLI=str(other))

    assert (code, out.split()[:2]) == (0, ["1.2.3", "other"])
    assert ready.run("x")[1] == "1.2.3 ['x'] \n"


def test_the_pinned_version_on_path_is_used(ready: Repository, tmp_path: Path) -> None:
    """As on an agent whose image carries it; another version there is not."""
    repository = Repository(tmp_path / "r", "mmcicd-jenkins==1.2.3")
    made = next(p.parent for p in ready.cache.glob("*/ready") if "/wheels/" in p.read_text())
    on_path = {"PATH": f"{made}/bin:{repository.path}"}

    assert repository.run("x", **on_path)[:2] == (0, "1.2.3 ['x'] \n")
    assert not repository.cache.exists()

    newer = Repository(tmp_path / "n", "mmcicd-jenkins==1.2.4")
    code, out, err = newer.run("x", **on_path)
    assert (code, out) == (5, "")
    assert "error: mmcicd-jenkins==1.2.4 could not be installed\n  why    ERROR: " in err
    assert newer.run("x", MMCICD_CLI="installed", **on_path)[1] == "1.2.3 ['x'] \n"


def test_a_version_on_path_that_pip_did_not_install_is_asked(tmp_path: Path) -> None:
    repository = Repository(tmp_path, "mmcicd-jenkins==1.2.3")
    program = repository.path / "mmcicd-jenkins"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo mmcicd-jenkins 1.2.3 || echo ran "$@"\n')
    program.chmod(0o755)

    assert repository.run("x")[1] == "ran x\n"


@pytest.mark.parametrize(
    ("requirement", "variables", "told"),
    [
        ("mmcicd-jenkins==1", {"MMCICD_CLI": "installed"}, "is not on PATH"),
        ("mmcicd-jenkins==1", {"MMCICD_CLI": "gone.whl"}, "the wheel gone.whl is not there"),
        ("$(touch owned); echo", {}, "could not be installed"),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path, requirement: str, variables: dict[str, str], told: str
) -> None:
    repository = Repository(tmp_path, requirement)

    code, out, err = repository.run("x", **variables)

    assert (code, out) == (5, "")
    assert told in err
    assert "Traceback" not in err
    assert not (tmp_path / "owned").exists()
    assert not list(repository.cache.glob("*/ready"))


def test_no_python_or_an_old_one_is_said(tmp_path: Path) -> None:
    repository = Repository(tmp_path, "mmcicd-jenkins==1")
    python = repository.path / "python3"
    python.unlink()

    assert "needs Python 3.11, 3.12 or 3.13" in repository.run("x")[2]

    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    code, _, err = repository.run("x")
    assert code == 5
    assert "needs Python 3.11, 3.12 or 3.13" in err


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    repository = Repository(tmp_path, "mmcicd-jenkins==1")
    repository.cache.write_text("a file")

    code, _, err = repository.run("x")

    assert code == 5
    assert "why    File exists: " in err
    assert "fix    MMCICD_CLI_HOME=" in err


@pytest.mark.skipif(
    not shutil.which("shellcheck"), reason="shellcheck is missing: apt-get install shellcheck"
)
def test_the_script_is_clean(tmp_path: Path) -> None:
    wrapper = Repository(tmp_path, "mmcicd-jenkins[s3]==1").wrapper
    done = subprocess.run(["shellcheck", str(wrapper)], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("requirement", "version"),
    [
        ("mmcicd-jenkins==0.1.0", "0.1.0"),
        ("mmcicd_jenkins[s3, tensorflow] == 1.2rc1", "1.2rc1"),
        ("wheels/mmcicd_jenkins-0.4.2-py3-none-any.whl", "0.4.2"),
        ("wheels/mmcicd_jenkins-0.4.2-py3-none-any.whl[s3,tensorflow]", "0.4.2"),
        ("mmcicd-jenkins>=1", ""),
        ("git+https://git.acme.example/mmcicd.git@v1", ""),
        ("mmcicd-jenkins==1; echo", ""),
    ],
)
def test_only_an_exact_requirement_pins(requirement: str, version: str) -> None:
    assert pinned_version(requirement) == version
