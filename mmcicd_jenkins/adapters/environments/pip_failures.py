"""What pip meant when it failed: whose fault it is, which requirement, and what to do."""

import re
from pathlib import Path

from mmcicd_jenkins.adapters.environments.requirements import Requirements
from mmcicd_jenkins.errors import CommandFailed, InputError, IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.ports import Finished

_UNREACHABLE = re.compile(
    r"NewConnectionError|ConnectTimeout|Connection refused|Failed to establish a new connection|Read timed out"
    r"|ReadTimeoutError|Name or service not known|name resolution|ProxyError|RemoteDisconnected|Connection aborted"
    r"|ConnectionResetError|IncompleteRead|(?:HTTP error|Error:) 5\d\d|50\d (?:Server Error|Service Unavailable)",
    re.IGNORECASE,
)
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded")
_NO_VENV = re.compile(r"ensurepip is not available|No module named (?:venv|ensurepip)")
_NOT_FOUND = re.compile(r"No matching distribution found for ([^\s(]+)|requirement (\S+) \(from versions")
_CONFLICT = re.compile(r"ResolutionImpossible|conflicting dependencies|Cannot install (.+?) because")
_INVALID = re.compile(
    r"Invalid requirement: ['\"]?([^'\"]+)|Expected package name|no such option|is not a valid editable"
)
_HASH = re.compile(r"DO NOT MATCH THE HASHES|Hashes are required in --require-hashes")
_BUILD = re.compile(
    r"Failed (?:building wheel|to build) (?:for )?'?([\w.-]+)|metadata-generation-failed|subprocess-exited-with-error"
)


class Signs:
    """What was seen in pip's output, kept as it goes by: the cause is often hundreds of lines before the end."""

    def __init__(self) -> None:
        self.found: dict[re.Pattern[str], str] = {}

    def take(self, line: str) -> None:
        for pattern in (_UNREACHABLE, _NO_SPACE, _NO_VENV, _NOT_FOUND, _CONFLICT, _INVALID, _HASH, _BUILD):
            if pattern not in self.found and pattern.search(line):
                self.found[pattern] = line.strip()


def told(
    finished: Finished, signs: Signs, wanted: Requirements, requirements: Path, log: Path, *, venv: bool
) -> MmcicdError:
    """The error for a failed `venv` or `pip`. An index that cannot be reached also "finds no version", so it is asked first."""
    where, tail = f"{requirements}, log {log}", finished.last_lines[-1] if finished.last_lines else ""
    seen = signs.found
    if _NO_SPACE in seen:
        return OutsideFailed(
            "there is no room for the environment",
            where=where,
            why=seen[_NO_SPACE],
            fix="free some space, or set XDG_CACHE_HOME",
        )
    if venv or _NO_VENV in seen:
        return OutsideFailed(
            "a Python environment cannot be made on this machine",
            where=where,
            why=seen.get(_NO_VENV, tail),
            fix="install Python's venv module (Debian and Ubuntu: apt-get install python3-venv)",
        )
    if _UNREACHABLE in seen or finished.timed_out:
        return OutsideFailed(
            "the package index could not be reached",
            where=where,
            why=seen.get(_UNREACHABLE, finished.why),
            fix="check network, proxy and pip's configuration (pip config list); then run the same command again",
            retryable=True,
        )
    if _HASH in seen:
        return IntegrityFailed(
            "a downloaded package is not the one that the requirements pin",
            where=where,
            why=seen[_HASH],
            fix="find out why before you change the hash",
        )
    return _told_by_package(finished, seen, wanted, where, tail)


def _told_by_package(
    finished: Finished, seen: dict[re.Pattern[str], str], wanted: Requirements, where: str, tail: str
) -> MmcicdError:
    if _NOT_FOUND in seen:
        match = _NOT_FOUND.search(seen[_NOT_FOUND])
        package = next(filter(None, match.groups()), "") if match else ""
        line = wanted.line_of(re.split(r"[\[<>=!~;]", package)[0])
        return InputError(
            f"no package satisfies {package}",
            where=f"{line.where}, {where}" if line else where,
            why=seen[_NOT_FOUND],
            fix="correct name and version; is the package index reachable, and has it this package for this Python?",
        )
    if _CONFLICT in seen or _INVALID in seen:
        what = "cannot be met together" if _CONFLICT in seen else "cannot be read"
        return InputError(
            f"the requirements {what}",
            where=where,
            why=seen.get(_CONFLICT) or seen[_INVALID],
            fix="the log names the lines; loosen or correct one of them",
        )
    return CommandFailed(
        "the environment could not be installed",
        status=finished.status,
        last_lines=finished.last_lines,
        where=where,
        why=seen.get(_BUILD, "") or finished.why or tail,
        fix="a package that is built from source may need a compiler or a system library; the log has the details",
    )
