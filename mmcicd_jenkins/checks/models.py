"""Is each model ready: what it installs, its data, its lock, the files made from mmcicd.yaml. Pure."""

from collections.abc import Iterable, Iterator

from mmcicd_jenkins.checks.finding import Finding, Told, counted
from mmcicd_jenkins.records import dataclass

TENSORFLOW = ("tensorflow", "tensorflow-gpu", "tensorflow-cpu")


@dataclass(frozen=True, kw_only=True)
class Required:
    """A requirements file and its line for TensorFlow ("" = it has none)."""

    file: str
    line: str
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class DataState:
    """A source against the lock: `files` is how many it has, None where that was not asked."""

    name: str
    url: str
    locked_url: str | None
    files: int | None = None
    where: str = ""


def requirements(
    model: str, found: Required | None, *, image: str, built_in: bool, where: str
) -> Iterator[Finding]:
    """What a model runs with.

    Args:
        built_in: its evaluation is ours, so its environment must have TensorFlow.
    """
    told = Told("models", model)
    if image:
        return
    if found is None:
        if built_in:
            yield told.warn(
                f"{model} has no requirements file, so it runs with whatever Python an agent has",
                "pip freeze | grep -i '^tensorflow==' > requirements.txt; then git add requirements.txt",
                where=where,
            )
        return
    if not found.line:
        if built_in:
            yield told.warn(
                f"{found.file} does not name tensorflow, which {model} is evaluated with",
                f"python -m pip freeze | grep -i '^tensorflow==' >> {found.file}",
                where=found.where,
            )
    elif "==" not in found.line and "@" not in found.line:
        yield told.warn(
            f"{found.file} does not pin tensorflow ({found.line}): the same commit may train with another one",
            f"python -m pip freeze | grep -i '^tensorflow==', and put it there instead of {found.line}",
            where=found.where,
        )


def data(model: str, found: Iterable[DataState]) -> Iterator[Finding]:
    """The sources, by their names alone: no byte is read."""
    told = Told("models", model)
    update = f"mmcicd-jenkins data update --model {model}, then commit mmcicd.lock"
    listed = list(found)
    for state in listed:
        if state.locked_url is None:
            yield told.fail(f"{model}/{state.name} is not in mmcicd.lock", update, where=state.where)
        elif state.locked_url != state.url:
            yield told.fail(
                f"{model}/{state.name} is locked from another address: {state.locked_url}",
                update,
                where=state.where,
            )
    if listed and all(state.locked_url == state.url for state in listed):
        yield told.ok(f"{model} ({counted(state.name for state in listed)})")
    elif not listed:
        yield told.ok(model)


@dataclass(frozen=True, kw_only=True)
class NamedImage:
    """An image that mmcicd.yaml names, and whether mmcicd.lock says which bytes that are."""

    name: str
    pinned: bool
    where: str = ""


def images(found: Iterable[NamedImage]) -> Iterator[Finding]:
    """Bases and images to train in: a stage uses what is pinned and nothing else."""
    told = Told("models", "images")
    listed = list(found)
    for image in listed:
        if not image.pinned:
            yield told.fail(
                f"{image.name} is not in mmcicd.lock",
                "mmcicd-jenkins image update-base, then commit mmcicd.lock",
                where=image.where,
            )
    if listed and all(image.pinned for image in listed):
        yield told.ok(f"images ({counted(image.name for image in listed)})")


def generated(stale: Iterable[str]) -> Iterator[Finding]:
    """Files that are made from mmcicd.yaml."""
    told = Told("models", "generated files")
    listed = list(stale)
    if listed:
        yield told.fail(
            f"out of date: {counted(listed)}",
            "mmcicd-jenkins generate, then commit; mmcicd-jenkins generate --diff shows what changes",
        )
    else:
        yield told.ok("generated files")
