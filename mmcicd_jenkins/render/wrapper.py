"""`mmcicdw` and its lock: what agents install, from where, and how it is known to be that. Pure.

A requirement is an index's (`mmcicd-jenkins==1.2`), a wheel (a path in the repository or an address) or a git
address. With a lock every file that is installed is pinned by sha256; the wrapper carries the lock's own digest, so
that neither changes without the other. The folder of the cache is named for all of it.
"""

import hashlib
import json
import re
from collections.abc import Iterable

from mmcicd_jenkins.config.credential_uses import data_kinds
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.engine import render

WRAPPER = "mmcicdw"
LOCK = "mmcicdw.lock"
PROGRAM = "mmcicd-jenkins"
# Builds what comes without a wheel; installed first, so that nothing unpinned is fetched for it.
BUILDERS = ("setuptools",)
_HEAD = (
    "# Every file that mmcicdw may install, by sha256. Made by `mmcicd-jenkins generate --lock-cli`.\n# for: "
)
_THEN = "# then\n"
_COMMIT = re.compile(r"@[0-9a-f]{40}(?:#|$)")


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """A distribution of a lock: `what` as pip reads it, and the sha256 of each of its files that will do."""

    name: str
    what: str
    sha256: tuple[str, ...]


def requirement_of(config: Config, version: str) -> str:
    """What agents install: what `jenkins.cli` says, else this version with what verifying and its data need."""
    written = config.jenkins.cli if config.jenkins else ""
    if written:
        return written
    sources = [source for model in config.models.values() for source in model.data]
    # Verify loads each version in a server, and a release passes through it.
    extras = ["tensorflow", *(kind for kind in data_kinds(s.url for s in sources) if kind != "https")]
    if any(source.url.partition("?")[0].endswith(".parquet") for source in sources):
        extras.append("parquet")
    return f"{PROGRAM}[{','.join(sorted(extras))}]=={version}"


def pinned_version(requirement: str) -> str:
    """The exact version that a requirement or a wheel asks for; "" when it leaves it open."""
    match = re.search(r"mmcicd[-_]jenkins(?:\[[^]]*\])?\s*==\s*([\w.!+]+)\s*$", requirement) or re.search(
        r"mmcicd_jenkins-([\w.!+]+)-[^/]*\.whl(?:\[[^]]*\])?$", requirement
    )
    return match.group(1) if match else ""


def is_git(requirement: str) -> bool:
    """A git address; what stands before an @ names the extras."""
    return (requirement.partition(" @ ")[2] or requirement).startswith("git+")


def is_wheel(requirement: str) -> bool:
    return wheel_of(requirement).endswith(".whl")


def wheel_of(requirement: str) -> str:
    """Where the wheel is: the requirement without the extras that may end it."""
    return re.sub(r"\[[\w,-]*\]$", "", requirement)


def is_exact(requirement: str) -> bool:
    """Whether it names one version for ever: a version, a wheel or a commit, not a branch."""
    return bool(pinned_version(requirement)) or is_wheel(requirement) or bool(_COMMIT.search(requirement))


def wrapper_text(requirement: str, *, lock: bytes | None = None, wheel: bytes | None = None) -> str:
    """The script.

    Args:
        requirement: what it installs.
        lock: the lock's bytes, when there is one.
        wheel: the wheel's bytes, when the requirement is one that the repository carries.
    """
    pinning = wheel if lock is None else lock
    digest = "" if pinning is None else hashlib.sha256(pinning).hexdigest()
    # A wheel whose bytes nobody has seen is named when it is there.
    is_named = digest or not is_wheel(requirement)
    values = {
        "requirement": requirement,
        "version": pinned_version(requirement),
        "key": _key(requirement, digest) if is_named else "",
        "lock": "" if lock is None else LOCK,
        "digest": digest,
    }
    return render("scaffold/common/mmcicdw.j2", "shell", values)


def _key(requirement: str, digest: str) -> str:
    """The folder in the cache: a version to read, and what tells apart all that may be installed as it."""
    mark = hashlib.sha256(f"{requirement}\0{digest}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{pinned_version(requirement) or 'cli'}-{mark}"


def lock_text(requirement: str, pinned: Iterable[Pinned]) -> str:
    """The lock: what builds the rest, then the rest; each in the order of names."""
    parts: dict[bool, list[str]] = {True: [], False: []}
    for each in sorted(pinned, key=lambda one: one.name.lower()):
        hashes = "".join(f" \\\n    --hash=sha256:{sha256}" for sha256 in sorted(set(each.sha256)))
        parts[each.name in BUILDERS].append(f"{each.what}{hashes}\n")
    return _HEAD + json.dumps(requirement) + "\n" + "".join(parts[True]) + _THEN + "".join(parts[False])


def locked_requirement(lock: str) -> str:
    """For which requirement a lock was made; "" when it does not say."""
    line = lock.removeprefix(_HEAD).partition("\n")[0] if lock.startswith(_HEAD) else '""'
    try:
        said = json.loads(line)
    except ValueError:
        return ""
    return said if isinstance(said, str) else ""
