"""`config check|explain|schema`: is the file right, where does a value come from, what may stand in it."""

from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option
from mmcicd_jenkins.config.load import Loaded, load
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.config.problems import render_problem
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.render.files import owns_templates

_PATH = click.argument(
    "path", type=click.Path(path_type=Path), metavar="[FILE_OR_FOLDER]", default=Path()
)  # the folder's parents are searched too
_SET = click.option(
    "--set", "values", metavar="KEY=VALUE", multiple=True, help="As if the file said so; wins over all."
)


@click.group(name="config")
def command() -> None:
    """Check, explain or describe mmcicd.yaml.

    Example: mmcicd-jenkins config check
    """


@command.command(name="check")
@_PATH
@json_option
def check(path: Path, as_json: bool) -> None:
    """Say every mistake with its line and what to write instead; exits 3 when there is one.

    Example: mmcicd-jenkins config check
    """
    loaded = load(path)
    if owns_templates(loaded.config.root, "kubernetes"):
        from mmcicd_jenkins.render.kubernetes import check_own_templates

        check_own_templates(loaded.config)
    for warning in loaded.warnings:
        report.say("warning " + render_problem(warning))
    if as_json:
        report.emit(_document(loaded))
        return
    for name, shares in _canary_shares(loaded).items():
        place = loaded.config.environments[name]
        report.say(f"{name}: {place.replicas} replicas can give a canary {', '.join(shares)}")
        report.say(f"{name}: its steps are {_steps(place)}")
    report.out(_summary(loaded))


@command.command(name="explain")
@click.argument("key", default="", metavar="[KEY]")
@click.option(
    "--file", "path", type=click.Path(path_type=Path), default=Path(), help="The file, or a folder."
)
@_SET
@json_option
def explain(key: str, path: Path, values: tuple[str, ...], as_json: bool) -> None:
    """Show a key's value, where it comes from and what it means; every key without KEY.

    Example: mmcicd-jenkins config explain models.churn.train.timeout
    """
    from mmcicd_jenkins.config.explain import explain as explained

    found = explained(load(path, flags=_flags(values)), key)
    if as_json:
        report.emit({"keys": [one.to_json() for one in found]})
    elif len(found) == 1 and key:
        report.out("\n".join(found[0].lines()))
    else:
        report.out("\n".join(one.line for one in found))


@command.command(name="schema")
@json_option
def schema(as_json: bool) -> None:  # noqa: ARG001  a JSON Schema is JSON either way
    """Print the JSON Schema of mmcicd.yaml, for editors.

    Example: mmcicd-jenkins config schema > .mmcicd/schema.json
    """
    from mmcicd_jenkins.config.json_schema import schema_bytes

    report.out(schema_bytes().decode().rstrip("\n"))


def _flags(values: tuple[str, ...]) -> dict[str, str]:
    flags = {}
    for value in values:
        key, sign, text = value.partition("=")
        if not sign:
            raise UsageError(f"--set {value} has no =", fix="write --set KEY=VALUE")
        flags[key] = text
    return flags


def _summary(loaded: Loaded) -> str:
    config = loaded.config
    models, environments = ", ".join(config.models), ", ".join(config.environments)
    warned = f"; {report.counted(len(loaded.warnings), 'warning')}" if loaded.warnings else ""
    return f"{config.file} is right: models {models}; environments {environments}{warned}"


def _steps(place: Environment) -> str:
    """What each step comes to: whole copies beside the stable ones, and the share that they give."""
    from mmcicd_jenkins.config.validate_environments import percent
    from mmcicd_jenkins.release.shares import nearest_share

    given = (nearest_share(step.share, place.replicas) for step in place.strategy.steps)
    told = [f"{copies} ({percent(share)})" for copies, share in given]
    return f"{', '.join(told)} canary copies beside {place.replicas}"


def _canary_shares(loaded: Loaded) -> dict[str, list[str]]:
    from mmcicd_jenkins.config.validate_environments import shares

    return {
        name: shares(environment.replicas)
        for name, environment in loaded.config.environments.items()
        if environment.strategy.kind == "canary"
    }


def _document(loaded: Loaded) -> dict[str, object]:
    config = loaded.config
    return {
        "file": str(config.root / config.file),
        "models": list(config.models),
        "environments": list(config.environments),
        "canary_shares": _canary_shares(loaded),
        "warnings": [
            {"file": w.file, "line": w.line, "column": w.column, "what": w.what, "fix": w.fix}
            for w in loaded.warnings
        ],
    }
