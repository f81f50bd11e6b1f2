"""What a shell offers for a name that `mmcicd.yaml` knows. Law: completion never says anything and never fails."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmcicd_jenkins.errors import MmcicdError

if TYPE_CHECKING:
    from mmcicd_jenkins.config.model import Config

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _from_config(choose: Callable[["Config"], Iterable[str]]) -> Complete:
    def complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        from mmcicd_jenkins.config.load import load_config

        try:
            return [name for name in choose(load_config(Path.cwd())) if name.startswith(begun)]
        except (MmcicdError, OSError):
            return []

    return complete


models = _from_config(lambda config: config.models)
environments = _from_config(lambda config: config.environments)
# The version is typed: asking the ledger for it would take longer than typing it.
releases = _from_config(lambda config: [name + "@" for name in config.models])
