"""`keys init`: make this machine's signing key and trust it in the repository."""

import getpass
import os
import socket
from pathlib import Path

import click

from mmcicd_jenkins.adapters.signing import (
    KEY_VARIABLE,
    KEYS_FILE,
    ZONES,
    MadeKey,
    make_key,
    private_key_path,
)
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option
from mmcicd_jenkins.config.load import find_file


@click.group(name="keys")
def command() -> None:
    """Make signing keys.

    Example: mmcicd-jenkins keys init
    """


@command.command(name="init")
@click.option(
    "--zone",
    type=click.Choice(ZONES),
    default="laptop",
    show_default=True,
    help="Where the key will sign: this machine's own ledger, CI builds, or the shared ledger.",
)
@click.option("--comment", metavar="TEXT", help="Whose key it is, for people; USER@HOST when left out.")
@json_option
def init(zone: str, comment: str | None, as_json: bool) -> None:
    """Make a key pair, never over an old one, and add its public half to mmcicd.keys.

    Example: MMCICD_SIGNING_KEY=~/ops.pem mmcicd-jenkins keys init --zone ops --comment "ml/ops on Jenkins"
    """
    root = find_file(Path.cwd()).parent
    path = private_key_path(os.environ)
    made = make_key(root, path, zone=zone, comment=_whose() if comment is None else comment)
    if as_json:
        report.emit(
            {
                "keyid": made.key.keyid,
                "zone": made.key.zone,
                "private_key": str(made.private_key),
                "made": made.made,
                "added": made.added,
            }
        )
        return
    verb = "made" if made.made else "found"
    report.say(f"{verb} the private key {made.private_key}; it stays there, and only you can read it")
    report.say(
        f"{'added to' if made.added else 'already in'} {KEYS_FILE}: {made.key.keyid[:16]}, zone {zone}"
    )
    for line in _next_steps(made):
        report.say(line)
    report.out(made.key.keyid)


def _whose() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user often has no name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _next_steps(made: MadeKey) -> list[str]:
    lines = []
    if made.added:
        lines.append(f'Next: git add {KEYS_FILE} && git commit -m "Trust a key of zone {made.key.zone}"')
        lines.append(
            "Then: run, promote or rollback; the first signed event vouches for all before it, and until then "
            "ledger verify says no"
        )
    if made.key.zone != "laptop":
        lines += [
            f"Then: give the private key to Jenkins as a 'Secret file' of the folder ml/{made.key.zone}, bound to {KEY_VARIABLE},",
            "      and delete it here.",
        ]
    return lines
