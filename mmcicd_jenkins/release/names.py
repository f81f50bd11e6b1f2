"""Names that reach paths, tags, branches and URLs: model, environment, source. Everything else is data."""

import re

from mmcicd_jenkins.errors import InputError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def is_name(text: str) -> bool:
    """Lower-case letters, digits and inner dashes, at most 40: safe in a DNS label, a ref and a path."""
    return _NAME.fullmatch(text) is not None


def check_name(text: str, kind: str) -> str:
    """`text` itself.

    Raises:
        InputError: it is not a name.
    """
    if not is_name(text):
        raise InputError(
            f"{text!r} cannot be the name of a {kind}",
            fix="use lower-case letters, digits and inner dashes, at most 40",
        )
    return text
