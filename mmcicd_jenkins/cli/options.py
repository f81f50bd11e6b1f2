"""Options that several commands share, declared once."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mmcicd_jenkins.cli import completing

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(function)


def model_option(*, required: bool = False) -> Callable[[F], F]:
    text = "The model, a name in mmcicd.yaml" + ("." if required else " (may be left out when there is one).")
    return click.option(
        "--model", metavar="NAME", required=required, help=text, shell_complete=completing.models
    )


def environment_option(text: str = "The environment, a name in mmcicd.yaml.") -> Callable[[F], F]:
    return click.option(
        "--env", "environment", metavar="NAME", help=text, shell_complete=completing.environments
    )


def shared_option(function: F) -> F:
    text = "Use the ledger, store and environments of mmcicd.yaml instead of this machine's own."
    return click.option("--shared", is_flag=True, help=text)(function)


def dry_run_option(function: F) -> F:
    return click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")(function)
