"""The files of a repository: of an example, of a team's first `mmcicd.yaml`, and those kept up to date. Pure.

What a team writes itself from then on is generated once; what follows from `mmcicd.yaml` is managed by
`render.update`.
"""

import re
from collections.abc import Mapping
from typing import Literal

from mmcicd_jenkins.config.model import Config, DataSource, Model, Problem
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.engine import render
from mmcicd_jenkins.render.files import template_bytes
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles
from mmcicd_jenkins.render.update import Generated
from mmcicd_jenkins.render.wrapper import WRAPPER, requirement_of, wrapper_text

CONFIG = "mmcicd.yaml"

ExampleName = Literal["image", "tabular"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """A repository to start from. `table` is its data, a file of the templates as it is."""

    name: ExampleName
    model: str
    table: str


EXAMPLES: Mapping[str, Example] = {
    "image": Example(name="image", model="digits", table="digits.csv"),
    "tabular": Example(name="tabular", model="tumours", table="tumours.csv"),
}

# First gates by problem: low enough for a first model, high enough to refuse a broken one.
FIRST_GATES: Mapping[Problem, tuple[str, ...]] = {
    "binary": ("roc_auc >= 0.80", "roc_auc >= champion - 0.01"),
    "multiclass": ("accuracy >= 0.80", "accuracy >= champion - 0.01"),
    "multilabel": ("f1 >= 0.50", "f1 >= champion - 0.01"),
    "regression": ("r2 >= 0.50", "r2 >= champion - 0.01"),
}
# For an evaluation of the team's own, which says what its metrics are called.
OWN_GATES = ("accuracy >= 0.80", "accuracy >= champion - 0.01")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What `generate` must know about a repository that has its own train script and data.

    `label` is "" for data that are no table; such data are evaluated by the team's own `command`.
    """

    model: str
    train: str
    source: str
    url: str
    label: str
    group_by: str
    problem: Problem | None = None  # None: `command` evaluates
    command: str = ""


def example_files(example: Example, model: str) -> tuple[Generated, ...]:
    """Everything of an example but what follows from its `mmcicd.yaml`, that file last.

    It is last because its presence says that the repository has begun; a run that was killed before goes on
    writing the example.
    """

    def text(template: str, path: str, language: Literal["plain", "yaml"] = "plain") -> Generated:
        content = render(
            f"scaffold/{example.name}/{template}", language, {"model": model} if language == "yaml" else {}
        )
        return Generated(path=path, content=content.encode(), mode="once")

    return (
        text("train.py.j2", "train.py"),
        text("test_train.py.j2", "tests/test_train.py"),
        text("requirements.txt.j2", "requirements.txt"),
        text("data.md.j2", "data/README.md"),
        Generated(
            path=f"data/{example.table}",
            content=template_bytes(f"scaffold/{example.name}/{example.table}"),
            mode="once",
        ),
        text("mmcicd.yaml.j2", CONFIG, "yaml"),
    )


def first_config(answers: Answers) -> Generated:
    """`mmcicd.yaml` for a repository with its own train script and data."""
    values = {
        "model": answers.model,
        "train": answers.train,
        "source": answers.source,
        "url": answers.url,
        "label": answers.label,
        "group_by": answers.group_by,
        "evaluate": answers.problem or {"command": answers.command},
        "gates": FIRST_GATES[answers.problem] if answers.problem else OWN_GATES,
    }
    return Generated(
        path=CONFIG, content=render("scaffold/bare/mmcicd.yaml.j2", "yaml", values).encode(), mode="once"
    )


def managed_files(
    config: Config, version: str, *, lock: bytes | None = None, wheel: bytes | None = None
) -> tuple[Generated, ...]:
    """What follows from the configuration: the wrapper, the README, `.gitignore`, the Jenkinsfiles.

    `lock` and `wheel` pin what the wrapper installs; see `render.wrapper`.
    """
    jenkinsfiles = render_jenkinsfiles(config)
    script = wrapper_text(requirement_of(config, version), lock=lock, wheel=wheel)
    return (
        Generated(path=WRAPPER, content=script.encode(), executable=True),
        Generated(
            path=".gitignore",
            content=render("scaffold/common/gitignore.j2", "plain", {}).encode(),
            mode="lines",
        ),
        Generated(path="README.md", content=_readme(config).encode()),
        *(Generated(path=path, content=text.encode()) for path, text in jenkinsfiles.items()),
    )


def _readme(config: Config) -> str:
    before = " and ".join(place.name for place in config.before_production)
    production = config.production.name
    way = (
        f"to {before}, where it waits for a person who promotes it to {production}"
        if before
        else (f"before a person who promotes it to {production}")
    )
    values = {
        "models": list(config.models),
        "first": next(iter(config.models)),
        "production": production,
        "way": way,
    }
    return render("scaffold/common/README.md.j2", "plain", values)


def model_name(folder: str) -> str:
    """The name that a folder suggests for a model."""
    return re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:40].strip("-") or "model"


def source_name(url: str) -> str:
    """The name that a path or URL suggests for a data source."""
    last = re.split(r"[?#]", url)[0].rstrip("/").rpartition("/")[2]
    return model_name(last.partition(".")[0])


def what_train_should_do(model: Model) -> tuple[tuple[str, str], ...]:
    """The lines that a train script should contain: a verb, and Python, or shell where the command is no Python."""
    places = [_place(source) for source in model.data if source.role != "test"]
    if "python" in model.train.command or ".py" in model.train.command:
        reads = [("read", f'os.environ["MMCICD_DATA_DIR"] + "{place}"') for place in places]
        return (*reads, ("export", 'model.export(os.environ["MMCICD_MODEL_DIR"])'))
    reads = [("read", f"$MMCICD_DATA_DIR{place}") for place in places]
    return (*reads, ("write", "a SavedModel to $MMCICD_MODEL_DIR, with saved_model.pb directly in it"))


def _place(source: DataSource) -> str:
    """Where a train script finds a source below the data folder: `train.csv` of a divided table, else its folder."""
    name = re.split(r"[?#]", source.url)[0].rpartition("/")[2].removesuffix(".gz")
    _, dot, suffix = name.rpartition(".")
    if not dot:
        return f"/{source.name}/"
    return f"/{source.name}/train.{suffix}" if source.test_size else f"/{source.name}/{name}"
