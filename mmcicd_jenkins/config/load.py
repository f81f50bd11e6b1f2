"""From a path to a `Config`, in labelled steps: find, parse, extend, override, validate, resolve.

A wrong file is a `ConfigInvalid` with every mistake, in the order of the lines.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcicd_jenkins.config.defaults import derived, merged
from mmcicd_jenkins.config.marks import Document, dotted
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.config.overrides import Override, apply, collect
from mmcicd_jenkins.config.places import is_file, is_folder
from mmcicd_jenkins.errors import ConfigInvalid, InputError, Problem
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:
    from mmcicd_jenkins.config.findings import Findings

FILE = "mmcicd.yaml"


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A configuration and where it came from. `complete` is the file with every derived default, as written."""

    config: Config
    document: Document
    complete: Mapping[str, Any]
    overrides: tuple[Override, ...]
    warnings: tuple[Problem, ...]


def load_config(
    path_or_root: Path, *, environ: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> Config:
    """The configuration at a file, or of the folder (or its parents) that holds `mmcicd.yaml`.

    Args:
        environ: the environment variables; those of this process when not given.
        flags: values by dotted key that win over everything else.

    Raises:
        ConfigInvalid: with all mistakes of the file.
        InputError: there is no file, or it cannot be read.
        UsageError: a flag names a key that cannot be set from outside.
    """
    return load(path_or_root, environ=environ, flags=flags).config


def load(
    path_or_root: Path,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    platform_file: bytes | None = None,
) -> Loaded:
    """As `load_config`, with the sources of the values and the warnings.

    Args:
        platform_file: what to lay under the file instead of the copy that is pinned.
    """
    # These bring YAML and pydantic-core; whoever only asks where the file is shall not wait for them.
    from mmcicd_jenkins.config.resolve import resolve
    from mmcicd_jenkins.config.schema import FileSection
    from mmcicd_jenkins.config.shape import check_shape
    from mmcicd_jenkins.config.validate import check_sense
    from mmcicd_jenkins.config.yaml_reader import MAX_BYTES, read_document

    file = find_file(path_or_root)
    root = file.parent
    # parse
    document = read_document(_read(file, MAX_BYTES + 1), file.name)
    # extend
    document, plain = _extended(document, root, platform_file)
    # override
    overrides = collect(os.environ if environ is None else environ, flags or {}, plain)
    plain = apply(plain, overrides)
    # validate
    findings = _read_findings(document, overrides)
    checked = check_shape(plain, findings)
    if checked is not None:
        check_sense(checked, findings, root)
    if findings.problems or checked is None:
        raise ConfigInvalid(_in_order(findings.problems, file.name))
    # resolve
    complete = merged(derived(plain, root), plain, {"train": "command", "ledger": "url", "strategy": "kind"})
    config = resolve(
        FileSection.checked(complete), root=root, name=file.name, marks=_marks(document, overrides)
    )
    return Loaded(
        config=config,
        document=document,
        complete=complete,
        overrides=overrides,
        warnings=_in_order(findings.warnings, file.name),
    )


def find_file(path_or_root: Path) -> Path:
    """The file itself, or the nearest `mmcicd.yaml` in a folder or its parents.

    Raises:
        InputError: there is none.
    """
    start = path_or_root.absolute()
    if is_file(start):
        return start
    if not is_folder(start):
        raise InputError(f"there is no file {path_or_root}", where=str(path_or_root), fix="correct the path")
    for folder in (start, *start.parents):
        if is_file(folder / FILE):
            return folder / FILE
    raise InputError(
        f"no {FILE} in {start} or a folder above it",
        where=str(start),
        why="it says which models there are and how they are trained",
        fix="write one with: mmcicd-jenkins generate",
    )


def _read(file: Path, limit: int) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(limit)
    except OSError as e:
        raise InputError(f"{file.name} cannot be read", where=str(file), why=e.strerror or str(e)) from e


def _extended(document: Document, root: Path, given: bytes | None) -> tuple[Document, Any]:
    """The file with the platform file under it, and the values of both."""
    if not isinstance(document.plain, dict) or (given is None and not document.plain.get("extends")):
        return document, document.plain
    from mmcicd_jenkins.config import platform
    from mmcicd_jenkins.config.yaml_reader import read_document

    if given is None and not platform.address(document.plain):
        return document, document.plain
    under = read_document(platform.pinned_copy(root) if given is None else given, platform.COPY)
    plain = platform.layered(platform.shared(under), document.plain)
    return dataclasses.replace(document, under=under), plain


def _read_findings(document: Document, overrides: tuple[Override, ...]) -> "Findings":
    """What reading the two files found, and what the platform file forbids."""
    from mmcicd_jenkins.config.findings import Findings

    told = [*document.problems, *(document.under.problems if document.under else ())]
    findings = Findings(
        document,
        {o.path: (o.source, o.text) for o in overrides},
        problems=[problem for _, problem in told],
        broken=[path for path, _ in told],
    )
    if document.under:
        from mmcicd_jenkins.config import platform

        platform.check(document.under, findings)
    return findings


def _in_order(problems: list[Problem], first: str) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda p: (p.file != first, p.file, p.line, p.column, p.what)))


def _marks(document: Document, overrides: tuple[Override, ...]) -> dict[str, str]:
    """A collection is where its key is; anything else is where its value is."""
    below = _marks(document.under, ()) if document.under else {}
    places = {
        path: document.key_mark(path) if path not in document.texts else m
        for path, m in document.values.items()
    }
    marks = {dotted(path): f"{document.file}:{m.line}:{m.column}" for path, m in places.items() if path}
    return below | marks | {dotted(o.path): o.source for o in overrides}
