"""The wheel, not the checkout: every template is in it, and an example generated from it is whole."""

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def has_setuptools() -> bool:
    """The one that pyproject.toml asks for is installed, so pip need not fetch it."""
    try:
        return int(metadata.version("setuptools").partition(".")[0]) >= 77
    except metadata.PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip would install, unpacked; its dependencies come from the environment of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, because building writes into the tree that it builds.
    source = folder / "source"
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    for path in filter(None, listed.split("\0")):
        if path.startswith(("mmcicd_jenkins/", "templates/")) or "/" not in path:
            file = ROOT / path
            if file.is_file():
                (source / path).parent.mkdir(parents=True, exist_ok=True)
                (source / path).write_bytes(file.read_bytes())
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    if has_setuptools():
        command.append("--no-build-isolation")
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def test_every_template_is_in_the_wheel(unpacked: Path) -> None:
    shipped = unpacked / "mmcicd_jenkins" / "templates"
    ours = {p.relative_to(ROOT / "templates") for p in (ROOT / "templates").rglob("*") if p.is_file()}
    ours = {path for path in ours if "__pycache__" not in path.parts}

    assert {p.relative_to(shipped) for p in shipped.rglob("*") if p.is_file()} == ours
    assert not (unpacked / "templates").exists()
    assert not (unpacked / "tests").exists()


def test_it_generates_an_example_with_its_dot_files(unpacked: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "import mmcicd_jenkins; assert mmcicd_jenkins.__file__.startswith(sys.path[0]), mmcicd_jenkins.__file__\n"
        "from mmcicd_jenkins.cli import main; main()\n"
    )
    command = [sys.executable, "-c", code, str(unpacked), "generate", "digits", "--example", "image"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert {".gitignore", "mmcicdw", "train.py", "data", "jenkins"} <= {
        p.name for p in (tmp_path / "digits").iterdir()
    }
