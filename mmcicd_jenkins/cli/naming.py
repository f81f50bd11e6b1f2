"""`MODEL@VERSION` on the command line."""

import re

from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.wiring import Bench

_NAMED = re.compile(r"(?:(?P<model>[^@]+)@)?(?P<version>[1-9][0-9]{0,9})")


def named_release(text: str, bench: Bench) -> Release:
    """The release that `MODEL@VERSION` names; the model may be left out when there is one.

    Raises:
        UsageError: not of that form, unknown model, or no such release.
    """
    match = _NAMED.fullmatch(text)
    if not match:
        raise UsageError(f"{text!r} does not name a release", fix="write MODEL@VERSION, for example churn@7")
    model = bench.model(match["model"])
    release = bench.ledger.release(model.name, int(match["version"]))
    if release is None:
        raise UsageError(
            f"{model.name} has no release {match['version']}",
            why="a version becomes a release when it passed its gates and verify",
            fix=f"mmcicd-jenkins history --model {model.name}",
        )
    return release
