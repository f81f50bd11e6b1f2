"""`jobs run`."""

import click


@click.command(name="run")
def run() -> int:
    """X."""
    return 0
