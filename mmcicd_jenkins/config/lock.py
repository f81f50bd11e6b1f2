"""`mmcicd.lock`: which bytes every data source had and which digest every image, so that a run can be repeated.

Written by `data update` and `image update-base`, committed by people. Reading is strict: the file is
merged by git and may be edited by hand.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.ports import Column, SourceFacts
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canonical import readable
from mmcicd_jenkins.release.documents import from_document, to_document

FILE = "mmcicd.lock"
FORMAT = 1
MAX_BYTES = 5_000_000

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CONFLICT = re.compile(rb"^(<<<<<<<|=======|>>>>>>>|\|\|\|\|\|\|\|)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class LockedSource:
    """A data source as it was when the lock was written. `url` shows when the configuration moved on."""

    url: str
    facts: SourceFacts


@dataclass(frozen=True, kw_only=True)
class PlatformPin:
    """The platform file that was copied: from where, at which commit, and the digest of its bytes."""

    url: str
    commit: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Lock:
    """`data` is keyed `MODEL/SOURCE`; `images` maps a reference as written to its manifest digest."""

    data: Mapping[str, LockedSource] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    platform: PlatformPin | None = None

    def source(self, model: str, source: str) -> LockedSource | None:
        return self.data.get(f"{model}/{source}")

    def with_source(self, model: str, source: str, locked: LockedSource) -> "Lock":
        return replace(self, data={**self.data, f"{model}/{source}": locked})

    def only(self, sources: frozenset[str]) -> "Lock":
        """Without the sources that the configuration no longer has; `MODEL/SOURCE` each."""
        return replace(self, data={key: value for key, value in self.data.items() if key in sources})


def load_lock(root: Path) -> Lock:
    """The lock of a repository; an empty one when there is no file.

    Raises:
        InputError: the file is not what was written; says which field.
    """
    path = root / FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Lock()
    except OSError as e:
        raise InputError(f"{FILE} cannot be read", where=str(path), why=e.strerror or str(e)) from e
    return read_lock(content)


def read_lock(content: bytes) -> Lock:
    """The lock that these bytes say.

    Raises:
        InputError: as `load_lock`.
    """
    document = _json(content)
    if document.get("lock") != FORMAT:
        raise _wrong("lock", f"expected {FORMAT}, got {str(document.get('lock'))[:20]!r}")
    unknown = sorted(set(document) - {"lock", "data", "images", "platform"})
    if unknown:
        raise _wrong(unknown[0], "unknown field")
    return Lock(
        data=_sources(document.get("data", {})),
        images=_images(document.get("images", {})),
        platform=_platform(document["platform"]) if "platform" in document else None,
    )


def lock_bytes(lock: Lock) -> bytes:
    """The file: sorted and indented, so that git shows and merges it line by line."""
    data = {key: to_document(source) for key, source in lock.data.items()}
    platform = {"platform": to_document(lock.platform)} if lock.platform else {}
    return readable({"lock": FORMAT, "data": data, "images": dict(lock.images), **platform})


def _wrong(where: str, why: str) -> InputError:
    return InputError(
        f"{FILE} is not what was written there",
        where=f"{FILE} {where}".strip(),
        why=why,
        fix=f"restore it with git, or write it anew: mmcicd-jenkins data update, then commit {FILE}",
    )


def _json(content: bytes) -> dict[str, Any]:
    if len(content) > MAX_BYTES:
        raise _wrong("", "it is larger than 5 MB")
    conflict = _CONFLICT.search(content)
    if conflict:
        line = content.count(b"\n", 0, conflict.start()) + 1
        raise InputError(
            f"{FILE} has merge conflicts",
            where=f"{FILE}:{line}:1",
            why="two branches moved the same data source",
            fix=f"take one side (git checkout --theirs {FILE}), then: mmcicd-jenkins data update",
        )
    try:
        document = json.loads(content, object_pairs_hook=_once, parse_constant=_finite)
    except (ValueError, RecursionError) as e:
        place = f"line {e.lineno} column {e.colno}" if isinstance(e, json.JSONDecodeError) else ""
        raise _wrong(place, f"it is not JSON: {str(e).splitlines()[0]}") from e
    if not isinstance(document, dict):
        raise _wrong("", "expected an object")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the field {next(n for n in names if names.count(n) > 1)} stands there twice")
    return found


def _finite(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _sources(document: object) -> dict[str, LockedSource]:
    if not isinstance(document, dict):
        raise _wrong("data", "expected an object")
    sources = {}
    for key, value in document.items():
        where = f"data.{key}"
        try:
            source = from_document(LockedSource, value, where)
        except IntegrityFailed as e:
            raise _wrong(e.where, e.why) from e
        _check_facts(source.facts, where)
        sources[key] = source
    return sources


def _check_facts(facts: SourceFacts, where: str) -> None:
    if not _DIGEST.fullmatch(facts.digest):
        raise _wrong(f"{where}.facts.digest", "expected sha256: and 64 hex digits")
    counts = {"size": facts.size, "files": facts.files, "rows": facts.rows or 0}
    negative = next((name for name, count in counts.items() if count < 0), None)
    if negative:
        raise _wrong(f"{where}.facts.{negative}", "expected no negative number")
    for index, column in enumerate(facts.columns):
        if column.kind not in {"integer", "number", "text"}:
            raise _wrong(f"{where}.facts.columns[{index}].kind", f"unknown kind {column.kind[:40]!r}")


def _images(document: object) -> dict[str, str]:
    if not isinstance(document, dict):
        raise _wrong("images", "expected an object")
    for reference, digest in document.items():
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise _wrong(f"images.{reference}", "expected sha256: and 64 hex digits")
    return document


def _platform(document: object) -> PlatformPin:
    try:
        pin = from_document(PlatformPin, document, "platform")
    except IntegrityFailed as e:
        raise _wrong(e.where, e.why) from e
    if not _DIGEST.fullmatch(pin.digest):
        raise _wrong("platform.digest", "expected sha256: and 64 hex digits")
    return pin


def changes(old: Lock, new: Lock) -> list[str]:
    """What is different, a line each, for people."""
    lines = []
    for key in sorted({*old.data, *new.data}):
        before, after = old.data.get(key), new.data.get(key)
        if before is None and after is not None:
            lines.append(f"{key}: new, {_summary(after.facts)}")
        elif after is None:
            lines.append(f"{key}: gone")
        elif before is not None and before != after:
            lines.extend(f"{key}: {what}" for what in _source_changes(before, after))
    for reference in sorted({*old.images, *new.images}):
        was, now = old.images.get(reference, "none"), new.images.get(reference, "none")
        if was != now:
            lines.append(f"image {reference}: {was[:19]} -> {now[:19]}")
    return lines


def _summary(facts: SourceFacts) -> str:
    rows = "" if facts.rows is None else f"{facts.rows:,} rows, {len(facts.columns)} columns, "
    return f"{rows}{_bytes(facts.size)}"


def _bytes(size: int) -> str:
    amount, units = float(size), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:,.1f} {units[0]}" if units[0] != "bytes" else f"{size} bytes"


def _source_changes(before: LockedSource, after: LockedSource) -> list[str]:
    old, new = before.facts, after.facts
    lines = [f"address {before.url} -> {after.url}"] if before.url != after.url else []
    if old.rows != new.rows and old.rows is not None and new.rows is not None:
        lines.append(f"rows {old.rows:,} -> {new.rows:,} ({new.rows - old.rows:+,})")
    if old.files != new.files:
        lines.append(f"files {old.files:,} -> {new.files:,}")
    lines += _column_changes(old.columns, new.columns)
    lines += _label_changes(old.label_counts, new.label_counts)
    if old.digest != new.digest:
        size = "same size" if old.size == new.size else f"{_bytes(old.size)} -> {_bytes(new.size)}"
        lines.append(f"bytes {old.digest[:19]} -> {new.digest[:19]}, {size}")
    # Only what has no line of its own is left, such as the storage's own version of the object.
    return lines or ["described anew, same bytes"]


def _column_changes(old: tuple[Column, ...], new: tuple[Column, ...]) -> list[str]:
    before, after = {c.name: c for c in old}, {c.name: c for c in new}
    lines = [f"column {name} added ({after[name].kind})" for name in after if name not in before]
    lines += [f"column {name} removed" for name in before if name not in after]
    for name in before.keys() & after.keys():
        was, now = before[name], after[name]
        if was.kind != now.kind:
            lines.append(f"column {name} is {now.kind}, was {was.kind}")
        elif was.missing != now.missing:
            lines.append(f"column {name} misses {now.missing:,} values, was {was.missing:,}")
        if was.values and now.values:
            lines += [
                f"column {name} has a new value {value}" for value in now.values if value not in was.values
            ]
            lines += [
                f"column {name} has no {value} any more" for value in was.values if value not in now.values
            ]
    if not lines and list(before) != list(after):
        lines.append("columns in another order")
    return sorted(lines)


def _label_changes(old: Mapping[str, int], new: Mapping[str, int]) -> list[str]:
    if not old or not new or old == new:
        return []
    lines = []
    for label in sorted({*old, *new}):
        was, now = old.get(label, 0) / sum(old.values()), new.get(label, 0) / sum(new.values())
        if f"{was:.1%}" != f"{now:.1%}":
            lines.append(f"label {label} {was:.1%} -> {now:.1%}")
    return lines
