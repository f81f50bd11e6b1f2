"""What changes between two manifests, as the lines of a diff that people read. Pure."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Manifest = Sequence[Mapping[str, Any]]


def manifest_diff(before: Manifest, after: Manifest, place: str) -> tuple[str, ...]:
    """A unified diff of each object that differs, in the order in which they are applied; () when none does."""
    return tuple(_lines(_named(before), _named(after), place))


def _lines(before: Mapping[str, str], after: Mapping[str, str], place: str) -> Iterator[str]:
    for name in dict.fromkeys([*after, *before]):
        old, new = before.get(name, ""), after.get(name, "")
        yield from difflib.unified_diff(
            old.splitlines(),
            new.splitlines(),
            f"{place} {name}" if old else "nothing",
            f"{place} {name}" if new else "no longer applied",
            lineterm="",
        )


def _named(manifest: Manifest) -> dict[str, str]:
    import yaml

    return {
        f"{document['kind']}/{document['metadata']['name']}": yaml.safe_dump(dict(document), sort_keys=True)
        for document in manifest
    }
