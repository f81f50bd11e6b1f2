"""The entries of a layout's index: which has a tag, what becomes of them when one is added. Pure.

A tag stands in the annotation that OCI names for it. Images carry the tag `MODEL-VERSION`; what is attached to an
image has no tag, and names it in an annotation of ours, so that a search need not read what others attached.
"""

from collections.abc import Sequence
from typing import Any

REF_NAME = "org.opencontainers.image.ref.name"
SUBJECT = "io.mmcicd.subject"

Entry = dict[str, Any]


def image_tag(model: str, version: int) -> str:
    return f"{model}-{version}"


def note(entry: Entry, name: str) -> object:
    annotations = entry.get("annotations")
    return annotations.get(name) if isinstance(annotations, dict) else None


def tagged(entries: Sequence[Entry], tag: str) -> Entry | None:
    return next((entry for entry in entries if note(entry, REF_NAME) == tag), None)


def retagged(entries: Sequence[Entry], new: Entry) -> list[Entry] | None:
    """`entries` with `new`; what its tag named before stays without that name, so that no tool drops it."""
    if new in entries:
        return None
    tag = note(new, REF_NAME)
    kept = [_untagged(entry) if note(entry, REF_NAME) == tag else entry for entry in entries]
    return [*(e for e in kept if note(e, REF_NAME) or e.get("digest") != new["digest"]), new]


def may_be_attached(entries: Sequence[Entry], digest: str) -> list[Entry]:
    """Entries that may be attached to `digest`: untagged, and not known to be attached to something else."""
    return [
        entry
        for entry in entries
        if note(entry, REF_NAME) is None
        and note(entry, SUBJECT) in (None, digest)
        and "artifactType" in entry
    ]


def _untagged(entry: Entry) -> Entry:
    notes = {key: text for key, text in entry["annotations"].items() if key != REF_NAME}
    rest = {key: value for key, value in entry.items() if key != "annotations"}
    return {**rest, "annotations": notes} if notes else rest
