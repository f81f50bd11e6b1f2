"""Which variables of a shell script stand outside quotes. As much of a POSIX shell as that takes, and no more."""

import re
from collections.abc import Iterator

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
# `NAME=$OTHER` is one word whatever the value.
_ASSIGNED = re.compile(r"(?:^|[\s;&|({])(?:export\s+|local\s+)?\w+=$")


def unquoted_variables(script: str) -> Iterator[str]:
    """Names of variables whose value the shell would split."""
    at, double = 0, False
    while at < len(script):
        here = script[at]
        if here == "\\":
            at += 2
        elif here == '"':
            double = not double
            at += 1
        elif here == "'" and not double:
            at = _after(script, "'", at + 1)
        elif here == "#" and not double and (at == 0 or script[at - 1].isspace()):
            at = _after(script, "\n", at)
        elif here == "$" and (found := _VARIABLE.match(script, at)):
            if not double and not _ASSIGNED.search(script, max(0, at - 200), at):
                yield found[1] or found[2]
            at = found.end()
        else:
            at += 1


def _after(script: str, end: str, start: int) -> int:
    found = script.find(end, start)
    return len(script) if found < 0 else found + len(end)
