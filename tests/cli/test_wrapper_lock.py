"""`generate --lock-cli` and the wrapper that installs by it: pip and a real index on loopback, stand-in packages.

Aspects: every file that may be installed is in the lock; another file is refused; the wrapper and the lock change
together; an index with a login, as JSON and as HTML; nobody is asked once it is there; many at once; killed.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import package_index
import pytest

CONFIG = """\
models:
  m:
    data: {{numbers: {{url: numbers.csv, label: y, test_size: 0.4}}}}
    train: {{command: "true", requirements: ""}}
    evaluate: {{command: "true"}}
    gates: [accuracy >= 0.5]
environments: {{production: {{approval: {{by: [somebody]}}}}}}
jenkins: {{cli: "{cli}"}}
"""


class Repository:
    """A checkout whose agents install a stand-in of our program."""

    def __init__(self, folder: Path, index: str, cli: str = "mmcicd-jenkins==7.1") -> None:
        self.folder = folder
        self.cache = folder.with_name(folder.name + "-cache")
        self.variables = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(folder.with_name("home")),
            "MMCICD_CLI_HOME": str(self.cache),
            "MMCICD_PYTHON": sys.executable,
            "PIP_INDEX_URL": index,
            "PIP_NO_CACHE_DIR": "1",
            "PIP_RETRIES": "0",
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "numbers.csv").write_text("a,y\n1,0\n2,1\n")
        self.ask_for(cli)

    def ask_for(self, cli: str) -> None:
        (self.folder / "mmcicd.yaml").write_text(CONFIG.format(cli=cli))

    def generate(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mmcicd_jenkins", "generate", *options]
        return subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True, check=False
        )

    @property
    def lock(self) -> str:
        return (self.folder / "mmcicdw.lock").read_text()

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.folder / "mmcicdw"), *arguments],
            cwd="/",
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    package_index.write_program(folder, "7.1")
    package_index.write_program(folder, "7.2")
    package_index.write_dependency(folder)
    package_index.write_dependency(folder, name="another", tag="cp313-cp313-manylinux_2_28_aarch64")
    package_index.write_dependency(folder, name="another", tag="cp27-cp27mu-win32")
    package_index.write_wheel(folder, "setuptools", "80.0", {"stand_in_setuptools.py": ""})
    return folder


@pytest.fixture(scope="module")
def index(wheels: Path) -> Iterator[package_index.Index]:
    with package_index.serve(wheels) as running:
        yield running


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, index: package_index.Index) -> Repository:
    repository = Repository(tmp_path_factory.mktemp("locked") / "r", index.url)
    done = repository.generate("--lock-cli")
    assert done.returncode == 0, done.stderr
    return repository


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_lock_names_every_file_that_an_agent_may_need(locked: Repository, wheels: Path) -> None:
    may = [w for w in wheels.iterdir() if "win32" not in w.name and "-7.2-" not in w.name]

    assert {
        line.partition("sha256:")[2].rstrip(" \\") for line in locked.lock.splitlines() if "--hash" in line
    } == {digest(wheel) for wheel in may}
    assert (
        locked.lock.index("setuptools==80.0")
        < locked.lock.index("# then")
        < locked.lock.index("\nmmcicd-jenkins==7.1")
    )


def test_twenty_builds_that_start_at_once_make_it_once(locked: Repository) -> None:
    started = [locked.start(str(n)) for n in range(20)]
    finished = [process.communicate(timeout=240) for process in started]

    assert [process.returncode for process in started] == [0] * 20, finished
    assert [out for out, _ in finished] == [f"7.1 real ['{n}']\n" for n in range(20)]
    assert sum("installing" in err for _, err in finished) == 1


def test_once_there_nobody_is_asked(locked: Repository, index: package_index.Index) -> None:
    assert locked.run("first")[0] == 0
    asked = len(index.asked)

    code, out, err = locked.run(
        "again", PIP_INDEX_URL="http://127.0.0.1:9/simple", MMCICD_PYTHON="/nowhere", PATH="/nowhere"
    )

    assert (code, out, err) == (0, "7.1 real ['again']\n", "")
    assert len(index.asked) == asked


def test_a_file_that_the_index_changed_is_not_installed(tmp_path: Path, wheels: Path) -> None:
    copy = tmp_path / "wheels"
    shutil.copytree(wheels, copy)
    with package_index.serve(copy) as index:
        repository = Repository(tmp_path / "r", index.url)
        assert repository.generate("--lock-cli").returncode == 0
        package_index.write_dependency(copy, name="evil")

        code, out, err = repository.run("x")

    assert (code, out) == (7, "")
    assert "DO NOT MATCH THE HASHES" in err
    assert "fix    find out who changed it" in err
    assert not list(repository.cache.glob("*/ready"))


def test_a_lock_that_somebody_edited_is_not_used(tmp_path: Path, locked: Repository) -> None:
    copy = Repository(tmp_path / "r", locked.variables["PIP_INDEX_URL"])
    for name in ("mmcicdw", "mmcicdw.lock"):
        shutil.copy(locked.folder / name, copy.folder / name)
    (copy.folder / "mmcicdw.lock").write_text(copy.lock + "stand-in-dependency==2 --hash=sha256:00\n")

    code, _, err = copy.run("x")

    assert code == 7
    assert "is not the file that mmcicdw was made with" in err


def test_another_version_wants_another_lock(tmp_path: Path, index: package_index.Index) -> None:
    repository = Repository(tmp_path / "r", index.url)
    assert repository.generate("--lock-cli").returncode == 0
    before = (repository.folder / "mmcicdw").read_text()
    repository.ask_for("mmcicd-jenkins==7.2")

    stale = repository.generate("--check")
    assert stale.returncode == 3
    assert "it is for mmcicd-jenkins==7.1; wanted is mmcicd-jenkins==7.2" in stale.stderr
    assert "mmcicd-jenkins generate --lock-cli" in stale.stderr

    assert repository.generate("--lock-cli").returncode == 0
    assert (repository.folder / "mmcicdw").read_text() != before
    assert repository.generate("--check").returncode == 0


@pytest.mark.parametrize("as_json", [True, False])
def test_an_index_with_a_login_however_it_answers(tmp_path: Path, wheels: Path, as_json: bool) -> None:
    with package_index.serve(wheels, as_json=as_json, login="ada:index-password") as index:
        repository = Repository(tmp_path / "r", index.url)
        done = repository.generate("--lock-cli")

        assert done.returncode == 0, done.stderr
        assert repository.lock.count("--hash") == 4
    written = [p.read_text(errors="replace") for p in repository.folder.rglob("*") if p.is_file()]
    assert "index-password" not in "".join(written) + done.stdout + done.stderr


def test_a_wheel_of_the_repository_is_locked_with_what_it_needs(
    tmp_path: Path, index: package_index.Index, wheels: Path
) -> None:
    repository = Repository(tmp_path / "r", index.url, "wheels/mmcicd_jenkins-7.1-py3-none-any.whl")
    (repository.folder / "wheels").mkdir()
    carried = Path(shutil.copy(wheels / "mmcicd_jenkins-7.1-py3-none-any.whl", repository.folder / "wheels"))
    assert repository.generate("--lock-cli").returncode == 0

    assert f"./wheels/{carried.name} \\\n    --hash=sha256:{digest(carried)}\n" in repository.lock
    assert repository.run("x")[1] == "7.1 real ['x']\n"

    shutil.rmtree(repository.cache)
    shutil.copy(wheels / "mmcicd_jenkins-7.2-py3-none-any.whl", carried)
    assert repository.run("x")[0] == 7


def test_a_commit_of_a_git_repository(tmp_path: Path, wheels: Path) -> None:
    """Git pins the program, the lock pins what it needs and what builds it: the real setuptools, from here."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "mmcicd_stand_in.py").write_text(package_index.PROGRAM.replace("{version}", "git"))
    (source / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(name='mmcicd-jenkins', version='1', py_modules=['mmcicd_stand_in'], install_requires=['stand-in-dependency'],\n"
        "      entry_points={'console_scripts': ['mmcicd-jenkins = mmcicd_stand_in:main']})\n"
    )
    git = ["git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@localhost"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    copy = tmp_path / "wheels"
    shutil.copytree(wheels, copy)
    (copy / "setuptools-80.0-py3-none-any.whl").unlink()
    _repack_setuptools(copy)
    with package_index.serve(copy) as index:
        repository = Repository(tmp_path / "r", index.url, f"git+file://{source}@{commit}")
        done = repository.generate("--lock-cli")
        assert done.returncode == 0, done.stderr
        assert "mmcicd-jenkins ==" not in repository.lock
        assert repository.run("x")[1] == "git real ['x']\n"

        repository.ask_for(f"git+file://{source}@main")
        refused = repository.generate("--lock-cli")
    assert refused.returncode == 3
    assert "can be another program tomorrow" in refused.stderr


def _repack_setuptools(folder: Path) -> None:
    """A wheel of the setuptools that this Python has, by its own list of files."""
    import importlib.metadata
    import zipfile

    found = importlib.metadata.distribution("setuptools")
    name = f"setuptools-{found.version}-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path in found.files or []:
            file = Path(str(path.locate()))
            if ".." not in path.parts and "__pycache__" not in path.parts and file.is_file():
                archive.write(file, str(path))


def test_offline_no_lock_is_made_and_the_old_one_stays(tmp_path: Path, index: package_index.Index) -> None:
    repository = Repository(tmp_path / "r", index.url)
    assert repository.generate("--lock-cli").returncode == 0
    before = repository.lock
    repository.variables["PIP_INDEX_URL"] = "http://127.0.0.1:9/simple"

    done = repository.generate("--lock-cli")

    assert done.returncode == 5
    assert "a package index must be reachable to make the lock" in done.stderr
    assert repository.lock == before
    assert repository.generate("--check").returncode == 0


@pytest.mark.parametrize("whole_group", [True, False])
def test_killed_in_the_middle_and_started_again(
    tmp_path: Path, locked: Repository, whole_group: bool
) -> None:
    """The whole group, as when an agent dies; or the wrapper alone, whose pip goes on without it."""
    cache = {"MMCICD_CLI_HOME": str(tmp_path / "cache")}
    process = subprocess.Popen(
        [str(locked.folder / "mmcicdw"), "x"],
        env={**locked.variables, **cache},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not list(tmp_path.glob("cache/*/pyvenv.cfg")):
        time.sleep(0.05)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
        _kill_installer(process.pid)
    process.wait()

    assert locked.run("y", **cache)[:2] == (0, "7.1 real ['y']\n")


def _kill_installer(group: int) -> None:
    """The Python that installs, not its pip."""
    for about in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = about.read_bytes().split(b"\0")
            if os.getpgid(int(about.parent.name)) == group and len(words) > 2 and words[1] == b"-":
                os.kill(int(about.parent.name), signal.SIGKILL)
        except OSError:
            continue
