"""TF Serving's REST paths: case-insensitive, fully anchored, names and labels percent-decoded after the match."""

import re
from urllib.parse import unquote

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.serving.inference import Wanted
from mmcicd_jenkins.serving.status import invalid, shown

# Numbers are ASCII: `\d` would take digits of other scripts.
_WHERE = r"(?:(?:/versions/([0-9]+))|(?:/labels/([^/:]+)))?"
_PREDICT = re.compile(rf"/v1/models/([^/:]+){_WHERE}:(classify|regress|predict)", re.IGNORECASE)
_STATUS = re.compile(rf"/v1/models(?:/([^/:]+))?{_WHERE}(?:/(metadata))?", re.IGNORECASE)
_API = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Call:
    """`method` is predict, classify, regress, status or metadata."""

    method: str
    wanted: Wanted


def is_api(path: str) -> bool:
    return _API.fullmatch(path) is not None


def parse_call(verb: str, path: str) -> Call:
    """What a request under `/v1/` asks for.

    Raises:
        Refused: the path is malformed.
    """
    found = {"POST": _PREDICT, "GET": _STATUS}[verb].fullmatch(path) if verb in ("POST", "GET") else None
    if found is None:
        raise invalid(f"Malformed request: {shown(verb, 32)} {shown(path)}")
    name, version, label, method = found.groups()
    if name is None and verb == "GET":
        raise invalid("Missing model name in request.")
    wanted = Wanted(
        model=unquote(name, errors="replace"),
        version=_number(version),
        label=unquote(label, errors="replace") if label else None,
    )
    return Call(method=(method or "status").lower(), wanted=wanted)


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if len(text) > 19 or int(text) >= 2**63:
        raise invalid(f"Failed to convert version: {shown(text)} to numeric.")
    return int(text)
