"""`make demo` on a fresh machine: it says what is missing, and an environment that was left half made is made again."""

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A Python that makes environments of paper, and notes what it was asked for.
PYTHON = """\
#!/bin/sh
echo "$@" >> asked
case "$*" in
    "-m venv"*) mkdir -p .venv/bin
        printf '#!/bin/sh\\necho "in the environment: $@" >> asked\\n' > .venv/bin/python
        cp .venv/bin/python .venv/bin/mmcicd-jenkins
        chmod +x .venv/bin/python .venv/bin/mmcicd-jenkins ;;
esac
"""
HALF_MADE = "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "it's a place"
    folder.mkdir()
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    write(folder / "python3", PYTHON)
    return folder


def write(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)


def make(checkout: Path, *arguments: str, code: int = 0, **variables: str) -> str:
    done = subprocess.run(
        ["make", "PYTHON=./python3", *arguments],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_the_environment_is_made_once(checkout: Path) -> None:
    make(checkout, "demo")
    make(checkout, "demo")
    asked = (checkout / "asked").read_text()
    assert asked.count("-m venv") == 1
    assert asked.count("pip install") == 1
    assert asked.count("in the environment: demo") == 2


def test_an_environment_that_was_left_half_made_is_made_again(checkout: Path) -> None:
    """Ctrl-C while it is made leaves a Python without pip."""
    write(checkout / ".venv" / "bin" / "python", HALF_MADE)
    make(checkout, "demo")
    assert "-m venv --clear" in (checkout / "asked").read_text()


def test_pip_that_failed_is_told_and_tried_again(checkout: Path) -> None:
    write(checkout / ".venv" / "bin" / "python", '#!/bin/sh\ncase "$3" in install) exit 1;; esac\n')
    assert "the same command goes on" in make(checkout, "demo", code=2)
    assert not (checkout / ".venv" / "demo").exists()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'Python 3.10.2'; exit 1", "needed: Python 3.11 to 3.13; ./python3 is Python 3.10.2"),
        ('case "$*" in *ensurepip*) exit 1;; esac', "needed: Python's venv and pip"),
    ],
)
def test_what_is_missing_is_told_first(checkout: Path, script: str, told: str) -> None:
    write(checkout / "python3", f"#!/bin/sh\n{script}\n")
    assert told in make(checkout, "demo", code=2)
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(("on_terminal", "quiet"), [(True, ""), (False, "--quiet ")])
def test_pip_shows_its_bars_to_a_person_only(checkout: Path, on_terminal: bool, quiet: str) -> None:
    command = ["make", "PYTHON=./python3", "demo"]
    if on_terminal:
        master, slave = pty.openpty()
        subprocess.run(command, cwd=checkout, stdout=slave, stderr=slave, check=True)
        os.close(slave)
        os.close(master)
    else:
        subprocess.run(command, cwd=checkout, capture_output=True, check=True)
    assert f"pip install {quiet}--disable-pip-version-check" in (checkout / "asked").read_text()
