"""What a text without quotes means: YAML 1.2's numbers, truths and nothing.

`yes`, `no`, `on` and `off` count as truths too, because other readers of the same file take them for that:
where text is expected they must be quoted. Octal, sexagesimal and grouped digits, dates and hexadecimal
numbers stay the texts that they are.
"""

import math
import re

# The largest whole number that every JSON reader keeps.
LARGEST = 2**53

_TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)


def scalar(text: str) -> str | int | float | bool | None:
    """The value; NaN for everything that is no finite number by its own words."""
    if text in {"", "~"} or text.lower() == "null":
        return None
    if text.lower() in _TRUTHS:
        return _TRUTHS[text.lower()]
    if _INTEGER.fullmatch(text):
        # Python refuses to convert thousands of digits; any such number is beyond what JSON keeps.
        return int(text) if len(text) < 100 else LARGEST * 2
    if _NUMBER.fullmatch(text):
        return float(text)
    return math.nan if _NOT_FINITE.fullmatch(text) else text
