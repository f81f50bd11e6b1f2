"""The lock of `mmcicdw` for `generate`: made when asked for, then part of what every `generate` writes."""

import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from mmcicd_jenkins.adapters.generated_files import write_whole
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.wrapper import (
    LOCK,
    PROGRAM,
    Pinned,
    is_exact,
    is_git,
    is_wheel,
    lock_text,
    locked_requirement,
    requirement_of,
    wheel_of,
)

# For what an index has as source only, and for our own from git; at least what pyproject.toml wants.
_BUILDER = "setuptools>=77"
_AGAIN = "mmcicd-jenkins generate --lock-cli"


@dataclass(frozen=True, kw_only=True)
class Pins:
    """What pins the program of a wrapper: bytes of the lock and of a wheel that the repository carries."""

    lock: bytes | None
    wheel: bytes | None


def pins(root: Path, config: Config) -> Pins:
    """What is there.

    Raises:
        InputError: the lock was made for another requirement.
    """
    requirement = requirement_of(config, version(PROGRAM))
    lock = _bytes(root / LOCK)
    if lock is not None:
        made_for = locked_requirement(lock.decode("utf-8", "replace"))
        if made_for != requirement:
            raise InputError(
                f"{LOCK} is for another program than agents should run",
                where=LOCK,
                why=f"it is for {made_for or 'nobody knows what'}; wanted is {requirement}",
                fix=f"{_AGAIN}, or delete {LOCK} to go without hashes",
            )
    carried = is_wheel(requirement) and "://" not in requirement
    return Pins(lock=lock, wheel=_bytes(root / wheel_of(requirement)) if carried else None)


def make(root: Path, config: Config) -> None:
    """Ask pip and the index, and write the lock.

    Raises:
        InputError: what is asked for can be another program tomorrow, or pip cannot read it.
        OutsideFailed: the index cannot be reached; the old lock stays.
    """
    from mmcicd_jenkins.adapters.environments.pip_lock import Resolved, resolve

    requirement = requirement_of(config, version(PROGRAM))
    _refuse_open(requirement, config)
    report.say(f"asking the package index what {requirement} needs; nothing is installed")

    def pinned(found: Iterable[Resolved]) -> list[Pinned]:
        ours = [one for one in found if not (one.direct and is_git(requirement))]
        nameless = next((one for one in ours if not one.sha256), None)
        if nameless is not None:
            raise InputError(f"nobody tells the sha256 of {nameless.name}", where=nameless.url)
        return [
            Pinned(
                name=one.name,
                what=_direct(requirement) if one.direct else f"{one.name}=={one.version}",
                sha256=one.sha256,
            )
            for one in ours
        ]

    text = lock_text(requirement, pinned(resolve([_argument(requirement), _BUILDER], root, report.say)))
    write_whole(root / LOCK, text.encode())
    report.say(f"wrote {LOCK}: {text.count('--hash=')} files of {text.count('==')} packages may be installed")


def _refuse_open(requirement: str, config: Config) -> None:
    where = config.mark("jenkins.cli")
    if not is_exact(requirement):
        raise InputError(
            f"{requirement} can be another program tomorrow, so it cannot be locked",
            where=where,
            fix=f"name one version ({PROGRAM}==1.2), a wheel, or a git address that ends in @ and a whole commit",
        )
    if is_wheel(requirement) and re.search(r"[\s#;]", requirement):
        raise InputError(f"{requirement!r} is no path that pip can read in a lock", where=where)


def _argument(requirement: str) -> str:
    return _direct(requirement) if is_wheel(requirement) and "://" not in requirement else requirement


def _direct(requirement: str) -> str:
    """How a lock names a wheel; `./` tells pip that it is a path."""
    if "://" in requirement:
        address = wheel_of(requirement)
        return f"{PROGRAM}{requirement.removeprefix(address)} @ {address}"
    return requirement if requirement.startswith("/") else f"./{requirement}"


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as e:
        raise InputError(f"{path.name} cannot be read", where=str(path), why=e.strerror or str(e)) from e
