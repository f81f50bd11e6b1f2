"""Environments made from requirements, with real venv and pip and packages that lie in a folder.

We test these aspects: made once and found; two at once; killed half-way; what changes the digest; whose
fault a failure of pip is; the environment that is there.
"""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.commands import ShellCommands
from mmcicd_jenkins.adapters.environments import pip_failures
from mmcicd_jenkins.adapters.environments.requirements import read_requirements
from mmcicd_jenkins.adapters.environments.virtual import VirtualEnvironments
from mmcicd_jenkins.errors import CommandFailed, InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.ports import Finished


def wheel(folder: Path, name: str, version: str, requires: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder `project` with a requirements file, and `wheels` beside it."""
    wheel(tmp_path / "wheels", "lion", "1.0")
    wheel(tmp_path / "wheels", "lion", "2.0")
    wheel(tmp_path / "wheels", "tiger", "1.0", requires="lion<2")
    (tmp_path / "project").mkdir()
    write(tmp_path / "project", "lion==1.0\n")
    return tmp_path / "project"


def write(project: Path, text: str) -> Path:
    path = project / "requirements.txt"
    path.write_text(f"--no-index\n--find-links {project.parent / 'wheels'}\n{text}")
    return path


def environments(tmp_path: Path) -> VirtualEnvironments:
    return VirtualEnvironments(tmp_path / "cache" / "environments", ShellCommands())


def test_made_once_then_found(project: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    said: list[str] = []
    made = environments(tmp_path).ensure(project / "requirements.txt", lines.append, said.append)
    assert made.made
    assert "lion==1.0" in made.packages
    assert any("lion" in line for line in lines)
    assert said == ["making the environment of requirements.txt, once on this machine"]
    asked = ShellCommands().run(
        "python -c 'import lion, sys; print(lion.VERSION, sys.prefix)'",
        directory=project,
        variables=made.variables,
        log=tmp_path / "log",
        timeout_seconds=60,
    )
    assert asked.last_lines == (f"1.0 {made.variables['VIRTUAL_ENV']}",)
    again = environments(tmp_path).ensure(project / "requirements.txt", pytest.fail, pytest.fail)
    assert not again.made
    assert (again.digest, again.packages, again.python) == (made.digest, made.packages, made.python)


def test_killed_half_way_is_made_again_once_by_two_at_once(project: Path, tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from mmcicd_jenkins.adapters.commands import ShellCommands
        from mmcicd_jenkins.adapters.environments.virtual import VirtualEnvironments
        VirtualEnvironments(Path(sys.argv[1]), ShellCommands()).ensure(Path(sys.argv[2]), print)
    """
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(code),
            tmp_path / "cache" / "environments",
            project / "requirements.txt",
        ]
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("cache/environments/*/bin")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    results = []

    def make() -> None:
        results.append(environments(tmp_path).ensure(project / "requirements.txt", lambda _: None))

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.made for result in results) == [False, True]


def test_the_digest_is_of_what_is_installed(project: Path, tmp_path: Path) -> None:
    path = project / "requirements.txt"
    digest = environments(tmp_path).digest
    first = digest(path)
    path.write_text(path.read_text() + "\n# a comment\n   \n")
    assert digest(path) == first
    (project / "base.txt").write_text("lion<3\n")
    write(project, "-r base.txt\n-c limits.txt\n")
    (project / "limits.txt").write_text("lion<2\n")
    included = digest(path)
    assert included != first
    (project / "limits.txt").write_text("lion<3  # looser\n")
    assert digest(path) != included
    assert not (tmp_path / "cache").exists()


def test_a_local_project_counts_with_its_content_not_its_place(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "pkg").mkdir(parents=True)
        (folder / "pkg" / "pyproject.toml").write_text("[project]\nname='pkg'\nversion='1'\n")
        (folder / "requirements.txt").write_text("-e ./pkg\n")
        digests.append(environments(tmp_path).digest(folder / "requirements.txt"))
    assert digests[0] == digests[1]
    (tmp_path / "one" / "pkg" / "pyproject.toml").write_text("[project]\nname='pkg'\nversion='2'\n")
    assert environments(tmp_path).digest(tmp_path / "one" / "requirements.txt") != digests[0]


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("-r absent.txt", "absent.txt cannot be read", "requirements.txt:3"),
        ("-r requirements.txt", "in a circle", "requirements.txt:3"),
    ],
)
def test_requirements_that_cannot_be_read(
    project: Path, tmp_path: Path, text: str, what: str, where: str
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        environments(tmp_path).digest(write(project, text))
    assert caught.value.where.endswith(where)


def test_a_requirement_that_cannot_be_met_is_told_with_its_line(project: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no package satisfies lion==9") as caught:
        environments(tmp_path).ensure(write(project, "# pinned\nlion==9"), lambda _: None)
    assert "requirements.txt:4" in caught.value.where
    assert caught.value.fix


NO_MATCH = "ERROR: No matching distribution found for lion"


@pytest.mark.parametrize(
    ("line", "kind", "what", "retryable"),
    [
        (
            "ERROR: Invalid requirement: 'lion ==': Expected end or semicolon",
            InputError,
            "cannot be read",
            False,
        ),
        (
            "ERROR: No matching distribution found for panther==1.0",
            InputError,
            "no package satisfies panther==1.0",
            False,
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            IntegrityFailed,
            "pin",
            False,
        ),
        ("OSError: [Errno 28] No space left on device", OutsideFailed, "no room", False),
        (
            "WARNING: Retrying after connection broken by 'ReadTimeoutError(...)'\n" + NO_MATCH,
            OutsideFailed,
            "index",
            True,
        ),
        (
            "HTTPError: 503 Server Error: Service Unavailable for url: http://index/lion/",
            OutsideFailed,
            "index",
            True,
        ),
        ("ERROR: Failed building wheel for lion", CommandFailed, "could not be installed", False),
    ],
)
def test_what_pip_says_is_understood_wherever_it_stands(
    project: Path, line: str, kind: type, what: str, retryable: bool
) -> None:
    signs = pip_failures.Signs()
    for said in ("Collecting lion", *line.split("\n"), *["  more"] * 100):
        signs.take(said)
    path = project / "requirements.txt"
    finished = Finished(status=1, last_lines=("  more",), seconds=1.0)
    error = pip_failures.told(finished, signs, read_requirements(path), path, path, venv=False)
    assert isinstance(error, kind)
    assert what in error.what
    assert error.retryable == retryable


def test_an_index_that_cannot_be_reached_is_retryable(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_RETRIES", "1")
    path = project / "requirements.txt"
    path.write_text("--index-url http://user:swordfish@127.0.0.1:9/simple\nlion\n")
    lines: list[str] = []
    with pytest.raises(OutsideFailed, match="index") as caught:
        environments(tmp_path).ensure(path, lines.append)
    assert caught.value.retryable
    assert "swordfish" not in caught.value.why + "".join(lines)


def test_a_cache_that_cannot_be_written(project: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutsideFailed, match="cannot write"):
        environments(tmp_path).ensure(project / "requirements.txt", lambda _: None)


def test_without_requirements_the_python_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    found = environments(tmp_path).ensure(None, pytest.fail)
    assert found.python == str(Path(sys.executable).parent / "python")
    assert any(package.startswith("pytest==") for package in found.packages)
    assert environments(tmp_path).digest(None) == found.digest
    record = next((tmp_path / "cache").rglob("interpreters/*.json"))
    record.write_text("{damaged")
    assert environments(tmp_path).digest(None) == found.digest


def test_without_any_python_on_the_path_our_own_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = environments(tmp_path).ensure(None, pytest.fail)
    asked = ShellCommands().run(
        "python -c 'import pytest'",
        directory=tmp_path,
        variables=found.variables,
        log=tmp_path / "log",
        timeout_seconds=60,
    )
    assert asked.status == 0


def test_a_folder_that_pip_cannot_install_is_not_read_through(tmp_path):
    (tmp_path / "requirements.txt").write_text("/\n")
    assert read_requirements(tmp_path / "requirements.txt").places == ()


def test_a_local_project_that_cannot_be_read_is_told_with_its_line(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "setup.py").write_text("")
    (project / "secret.py").symlink_to("/proc/self/mem")
    (tmp_path / "requirements.txt").write_text("numpy\n./project\n")
    with pytest.raises(InputError, match=r"local project \./project cannot be read") as caught:
        read_requirements(tmp_path / "requirements.txt")
    assert caught.value.where.endswith("requirements.txt:2")
