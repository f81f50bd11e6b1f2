"""The floors of the house: who may import whom, what is heavy, how long things may be, what is shipped."""

import ast
import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mmcicd_jenkins"

# From the ground up. Rooms of one floor do not see each other.
FLOORS = [
    {"errors", "failpoints", "records"},
    {"release", "image"},
    {"ports"},
    {"config"},
    {"render", "lint", "checks"},
    {"stages", "adapters", "serving", "reports"},
    {"wiring"},
    {"cli"},
]
# Stand beside the house: used by train scripts, the entry points, the public names.
OUTSIDE = {"training", "__main__", "__init__", "templates"}
# The server and those who talk to it share the wire forms; a scorer script runs in the model's environment.
ALLOWED = {("adapters", "serving")}
HEAVY = ("tensorflow", "tensorflow_serving", "grpc", "aiohttp", "matplotlib", "fsspec", "kubernetes", "docker", "jenkins",
         "pyarrow", "s3fs", "gcsfs", "keras", "pandas", "sklearn")  # fmt: skip
SHAPE_EXCEPTIONS: dict[str, str] = {}


def sources():
    return sorted(p for p in PACKAGE.rglob("*.py") if "__pycache__" not in p.parts)


def room(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def floor_of(name):
    return next((n for n, rooms in enumerate(FLOORS) if name in rooms), None)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
            if node.module == "mmcicd_jenkins":
                for alias in node.names:
                    yield f"mmcicd_jenkins.{alias.name}", node.lineno


def test_every_room_has_a_floor():
    rooms = {room(path) for path in sources()}
    known = set().union(*FLOORS) | OUTSIDE
    assert rooms <= known, f"give these a floor: {rooms - known}"


def test_imports_only_look_down():
    wrong = []
    for path in sources():
        own = room(path)
        if own in OUTSIDE:
            continue
        for module, line in imports(path):
            if not module.startswith("mmcicd_jenkins."):
                continue
            other = module.split(".")[1]
            if other == own or floor_of(other) is None:
                continue
            same_floor = floor_of(other) == floor_of(own) and own != "failpoints"
            if floor_of(other) > floor_of(own) or (same_floor and (own, other) not in ALLOWED):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_heavy_libraries_are_imported_where_they_are_used():
    wrong = []
    for path in sources():
        if (
            room(path) in {"serving", "training"}
            or "scoring" in path.parts
            or path.stem.startswith("convert")
            or path
            == PACKAGE / "adapters" / "jenkins" / "server.py"  # itself imported where it is used: see below
        ):
            continue
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            wrong += [
                f"{path.relative_to(ROOT)}:{node.lineno} {n}" for n in names if n.split(".")[0] in HEAVY
            ]
    assert not wrong, "\n".join(wrong)


def test_the_owner_of_python_jenkins_is_imported_where_it_is_used():
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("adapters.jenkins.server")
    ]
    assert not wrong, "\n".join(wrong)


def loaded_after(arguments, tmp_path):
    code = (
        "import atexit, sys, runpy\n"
        f"sys.argv = ['mmcicd-jenkins', *{arguments!r}]\n"
        "atexit.register(lambda: open('loaded', 'w').write('\\n'.join(sys.modules)))\n"
        "runpy.run_module('mmcicd_jenkins', run_name='__main__')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)
    return set((tmp_path / "loaded").read_text().split())


def test_help_loads_nothing_heavy(tmp_path):
    loaded = loaded_after(["--help"], tmp_path)
    heavy = {*HEAVY, "pydantic", "jinja2", "numpy", "yaml", "cryptography", "rich", "urllib3"}
    assert not {name for name in loaded if name.split(".")[0] in heavy}


@pytest.mark.parametrize(
    "command",
    ["run", "stage", "status", "promote", "rollback", "history", "config", "generate", "jobs", "doctor"],
)
def test_no_command_line_loads_tensorflow(command, tmp_path):
    loaded = loaded_after([command, "--help"], tmp_path)
    assert not {name for name in loaded if name.split(".")[0] in HEAVY}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A committed repository whose training and evaluation are `cp`."""
    root = tmp_path_factory.mktemp("light") / "repository"
    shutil.copytree(ROOT / "tests" / "system" / "fixtures" / "double", root / "model")
    (root / "numbers.csv").write_text("x,y\n" + "".join(f"{n},{n}\n" for n in range(50)))
    (root / "metrics.json").write_text('{"metrics": {"accuracy": 0.9}, "samples": 20}')
    (root / ".gitignore").write_text(".mmcicd/\n/loaded\n")
    (root / "mmcicd.yaml").write_text(
        """\
models:
  m:
    data: {numbers: {url: numbers.csv, label: y, test_size: 0.4}}
    test: "true"
    train: cp -R model/. "$MMCICD_MODEL_DIR"/
    evaluate: {command: cp metrics.json "$MMCICD_EVALUATION_DIR"/}
    gates: [accuracy >= 0.5]
    min_samples: 1
"""
    )
    program = [sys.executable, "-m", "mmcicd_jenkins"]
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@localhost"]
    subprocess.run([*git, "init", "-q"], check=True, cwd=root)
    subprocess.run([*program, "data", "update"], check=True, capture_output=True, cwd=root)
    subprocess.run([*git, "add", "-A"], check=True, cwd=root)
    subprocess.run([*git, "commit", "-qm", "All"], check=True, cwd=root)
    return root


# What a command without a model server, signatures or a built-in evaluation has no use for.
UNUSED = {
    *HEAVY,
    "pydantic",
    "jinja2",
    "numpy",
    "urllib3",
    "cryptography",
    "asyncio",
    "http",
    "ssl",
    "difflib",
}


@pytest.mark.parametrize("command", ["config check", "status", "stage prepare"])
def test_a_look_loads_only_what_it_uses(command, repository):
    loaded = loaded_after(command.split(), repository)
    assert not {name for name in loaded if name.split(".")[0] in UNUSED}
    assert not {
        name for name in loaded if name.startswith(("mmcicd_jenkins.reports", "mmcicd_jenkins.serving"))
    }


def test_a_pipeline_with_an_evaluation_of_its_own_loads_only_what_it_uses(repository):
    # The first run in a clone writes the schema for editors, which is made from what pydantic knows.
    loaded_after(["run", "--until", "prepare"], repository)
    loaded = loaded_after(["run", "--until", "evaluate"], repository)
    assert list(repository.glob(".mmcicd/runs/*/report.html"))
    assert not {name for name in loaded if name.split(".")[0] in UNUSED}


def test_frozen_values_are_made_by_records():
    """Ours compiles nothing at start-up. `errors` imports nothing, and what runs in a model's environment has no other."""
    apart = {"errors", "training"}
    wrong = []
    for path in sources():
        if room(path) in apart or "scoring" in path.parts or path.stem.startswith("convert"):
            continue
        tree = ast.parse(path.read_text())
        shared = {
            (n.module, a.name) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names
        }
        wrong += [
            f"{path.relative_to(ROOT)}:{node.lineno} import dataclass from mmcicd_jenkins.records"
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            and "dataclass(frozen=True, kw_only=True)"
            in [ast.unparse(d).removeprefix("dataclasses.") for d in node.decorator_list]
            and ("mmcicd_jenkins.records", "dataclass") not in shared
        ]
    assert not wrong, "\n".join(wrong)


def test_shape_budget():
    wrong = []
    for path in sources():
        name = str(path.relative_to(ROOT))
        text = path.read_text()
        if len(text.splitlines()) > 400:
            wrong.append(f"{name} has {len(text.splitlines())} lines, 400 are allowed")
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and node.end_lineno - node.lineno + 1 > 50
            ):
                wrong.append(
                    f"{name}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
                )
            if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno + 1 > 200:
                wrong.append(
                    f"{name}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
                )
    wrong = [line for line in wrong if line.split(":")[0].split(" ")[0] not in SHAPE_EXCEPTIONS]
    assert not wrong, "\n".join(wrong)


def test_every_module_says_what_it_is_for():
    missing = [str(p.relative_to(ROOT)) for p in sources() if not ast.get_docstring(ast.parse(p.read_text()))]
    assert not missing


def test_only_the_command_line_prints():
    wrong = []
    for path in sources():
        if room(path) in {"cli", "training"} or "scoring" in path.parts or path.stem.startswith("convert"):
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        prints = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
        wrong += [f"{path.relative_to(ROOT)}:{call.lineno}" for call in prints]
    assert not wrong, "\n".join(wrong)


def test_every_package_is_listed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    found = {
        ".".join(p.parent.relative_to(ROOT).parts)
        for p in PACKAGE.rglob("__init__.py")
        if "__pycache__" not in p.parts
    }
    assert listed == found | {"mmcicd_jenkins.templates"}


def test_no_python_in_the_folder_that_would_shadow_python_jenkins():
    assert not list((ROOT / "jenkins").rglob("*.py"))
