"""The platform file: what many repositories share, copied into each and pinned by digest in `mmcicd.lock`.

It has the keys of `mmcicd.yaml` but no models, and `locked`: the keys that a repository may not set. Builds read
the copy, so none of them fetches it. Pure but for reading the two files.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmcicd_jenkins.config.findings import Findings
from mmcicd_jenkins.config.lock import FILE as LOCK_FILE
from mmcicd_jenkins.config.lock import PlatformPin, load_lock
from mmcicd_jenkins.config.marks import Document, KeyPath, dotted
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.digest import digest_bytes

COPY = "mmcicd.platform.yaml"
UPDATE = "mmcicd-jenkins generate --extends URL"
_OWN = ("models", "extends")


def pinned_copy(root: Path) -> bytes:
    """The copy, as the lock pins it.

    Raises:
        InputError: it was never fetched.
        IntegrityFailed: it is not what was fetched.
    """
    pin = load_lock(root).platform
    try:
        content = (root / COPY).read_bytes()
    except FileNotFoundError:
        raise _missing(f"there is no {COPY}") from None
    except OSError as e:
        raise InputError(f"{COPY} cannot be read", where=str(root / COPY), why=e.strerror or str(e)) from e
    if pin is None:
        raise _missing(f"{LOCK_FILE} pins none")
    found = digest_bytes(content)
    if found != pin.digest:
        raise IntegrityFailed(
            f"{COPY} is not what {LOCK_FILE} pins",
            where=COPY,
            why=f"its digest is {found[:19]}, pinned is {pin.digest[:19]} of commit {pin.commit[:12]}",
            fix=f"git checkout -- {COPY} {LOCK_FILE}; shared keys are changed in the platform's repository, then: {UPDATE}",
        )
    return content


def _missing(why: str) -> InputError:
    return InputError("the platform file is not here", where=COPY, why=why, fix=UPDATE)


def pin_of(url: str, commit: str, content: bytes) -> PlatformPin:
    return PlatformPin(url=url, commit=commit, digest=digest_bytes(content))


def address(plain: object) -> str:
    """What `extends` says in a file; "" when it says nothing or nonsense, which the schema will tell."""
    extends = plain.get("extends") if isinstance(plain, Mapping) else None
    if isinstance(extends, Mapping):
        extends = extends.get("url")
    return extends if isinstance(extends, str) else ""


def shared(platform: Document) -> dict[str, Any]:
    """The keys that a platform file hands down."""
    if not isinstance(platform.plain, Mapping):
        return {}
    return {name: value for name, value in platform.plain.items() if name not in (*_OWN, "locked")}


def locked(platform: Document) -> tuple[KeyPath, ...]:
    """The paths that a repository may not set."""
    keys = platform.plain.get("locked", []) if isinstance(platform.plain, Mapping) else []
    return (
        tuple(tuple(key.split(".")) for key in keys if isinstance(key, str)) if isinstance(keys, list) else ()
    )


def layered(under: Mapping[str, Any], over: Mapping[str, Any], path: KeyPath = ()) -> dict[str, Any]:
    """`over` on top of `under`, mapping by mapping, in the order of `under`: the last environment stays the last.

    A text that stands for a section meets a mapping as that section.
    """
    from mmcicd_jenkins.config.catalogue import section_at

    result = dict(under)
    for name, value in over.items():
        below = result.get(name)
        here = section_at((*path, name))
        if here and here.shorthand and isinstance(below, str) and isinstance(value, Mapping):
            below = {here.shorthand: below}
        if here and here.shorthand and isinstance(below, Mapping) and isinstance(value, str):
            value = {here.shorthand: value}
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = layered(below, value, (*path, name))
        result[name] = value
    return result


def check(platform: Document, findings: Findings) -> None:
    """Add every mistake of the platform file that the schema does not know, and every locked key that is set."""
    if not isinstance(platform.plain, Mapping):
        findings.add_at(platform, (), f"{COPY} starts with no key", "keys as in mmcicd.yaml, but no models")
        return
    for name in _OWN:
        if name in platform.plain:
            findings.add_at(
                platform, (name,), "does not belong into a platform file", f"delete `{name}` there"
            )
    _check_locked_list(platform, findings)
    for path, key in _trespasses(platform, findings):
        where = _place(platform, key)
        findings.add(
            path,
            f"the platform has locked {dotted(key)}",
            f"delete it here{f'; it is set at {where}' if where else ''}",
            on="key",
        )


def _check_locked_list(platform: Document, findings: Findings) -> None:
    from mmcicd_jenkins.config.catalogue import all_keys, find
    from mmcicd_jenkins.config.suggest import nearest

    keys = platform.plain.get("locked", []) if isinstance(platform.plain, Mapping) else []
    if not isinstance(keys, list):
        findings.add_at(
            platform, ("locked",), "expected a list of keys", "locked: [ledger, environments.production]"
        )
        return
    for number, key in enumerate(keys):
        path = tuple(str(key).split("."))
        if not isinstance(key, str) or find(path) is None or path[0] in _OWN:
            near = nearest(str(key), [k.dotted for k in all_keys()])
            fix = f"did you mean `{near}`?" if near else "name a key as `config explain` does"
            findings.add_at(platform, ("locked", number), f"there is no key {str(key)[:60]!r} to lock", fix)


def _trespasses(platform: Document, findings: Findings) -> Iterator[tuple[KeyPath, KeyPath]]:
    """What the repository, a variable or a flag sets although it is locked, once each, with the locked key."""
    document = findings.document
    for key in locked(platform):
        if key[0] in _OWN:
            continue
        own = [p for p in {**document.keys, **document.values} if _sets(p, key, document)]
        if own:
            yield min(own, key=len), key
        yield from ((path, key) for path in findings.overrides if path[: len(key)] == key)


def _sets(path: KeyPath, key: KeyPath, document: Document) -> bool:
    """At the key or below it; or a text in the place of a section that holds it."""
    return path[: len(key)] == key or (bool(path) and key[: len(path)] == path and path in document.texts)


def _place(platform: Document, key: KeyPath) -> str:
    mark = platform.keys.get(key)
    return f"{platform.file}:{mark.line}" if mark else ""
