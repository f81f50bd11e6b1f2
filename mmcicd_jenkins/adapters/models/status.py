"""What a model server says of one version of a model: its state, by TF Serving's REST status.

The server answers 200 also while a version loads and after it failed, so the state is read, not the status code.
"""

import json
from typing import Any
from urllib.parse import quote

from mmcicd_jenkins.records import dataclass

SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class VersionState:
    """`state` is TF Serving's: START, LOADING, AVAILABLE, UNLOADING, END; `error` its words, "" for none."""

    state: str
    error: str = ""


def read_state(rest: str, model: str, version: int) -> VersionState | None:
    """The state of `version` at `http://host:port`; None when the server does not answer or does not know it."""
    import urllib3

    url = f"{rest}/v1/models/{quote(model, safe='')}/versions/{version}"
    try:
        answer = urllib3.request("GET", url, timeout=SECONDS, retries=False)
    except urllib3.exceptions.HTTPError:
        return None
    return parse_state(answer.data, version)


def parse_state(body: bytes, version: int) -> VersionState | None:
    """The state of `version` in a status answer; None when it is not in there."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    entries: Any = document.get("model_version_status") if isinstance(document, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        match entry:
            case {"version": (str() | int()) as number, "state": str(state)} if str(number) == str(version):
                status = entry.get("status")
                error = status.get("error_message", "") if isinstance(status, dict) else ""
                return VersionState(state=state, error=str(error))
    return None
