"""`generate --extends URL`: fetch the platform file, copy and pin it, and say so in `mmcicd.yaml`.

The copy and its pin are written before the line that makes them count, so a killed command leaves a repository
that works as before, and the same command again ends the work.
"""

import os
import re
from dataclasses import replace
from pathlib import Path

from mmcicd_jenkins.adapters import generated_files as disk
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.config import platform
from mmcicd_jenkins.config.load import FILE, load
from mmcicd_jenkins.config.lock import FILE as LOCK_FILE
from mmcicd_jenkins.config.lock import load_lock, lock_bytes
from mmcicd_jenkins.config.marks import Document
from mmcicd_jenkins.config.model import Extends
from mmcicd_jenkins.config.yaml_reader import read_document
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.render.update import Decision

_PLAIN = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_@:+,=%~./-]*")


def extend(root: Path, url: str) -> None:
    """Bring the platform file at `url` here, or its newer state; adds the line to `mmcicd.yaml` when it has none.

    Raises:
        UsageError: the file extends another platform.
        ConfigInvalid: it is wrong, or this repository sets what it locks; nothing is written then.
        InputError, OutsideFailed: as `fetch_platform`.
    """
    from mmcicd_jenkins.adapters.platform_source import fetch_platform

    text = (root / FILE).read_bytes()
    source = _source(read_document(text, FILE), url)
    fetched = fetch_platform(source, root, os.environ)
    load(root / FILE, environ={}, platform_file=fetched.content)
    copied = read_document(fetched.content, platform.COPY)
    pin = platform.pin_of(source.url, fetched.commit, fetched.content)
    before = load_lock(root)
    files = {
        platform.COPY: fetched.content,
        LOCK_FILE: lock_bytes(replace(before, platform=pin)),
        FILE: text if _extends(read_document(text, FILE)) else _with_line(text, url),
    }
    changed = [name for name, content in files.items() if not _is(root / name, content)]
    disk.carry_out(root, [Decision(path=n, step="write", reason="", content=files[n]) for n in changed])
    _tell(copied, fetched.commit, added=FILE in changed, moved=platform.COPY in changed)


def _source(document: Document, url: str) -> Extends:
    """What the file says, when it says it of the same address."""
    extends = _extends(document)
    if not extends:
        return Extends(url=url)
    written = extends if isinstance(extends, dict) else {"url": extends}
    if written.get("url") != url:
        raise UsageError(
            f"{FILE} extends {written.get('url')}",
            fix=f"change it there first, or fetch that one: mmcicd-jenkins generate --extends {written.get('url')}",
        )
    known = {key: str(value) for key, value in written.items() if key in {"ref", "file"} and value}
    return Extends(url=url, **known)


def _extends(document: Document) -> object:
    return document.plain.get("extends") if isinstance(document.plain, dict) else None


def _with_line(text: bytes, url: str) -> bytes:
    """After the comments at the top: editors look for the schema in the first of them."""
    lines = text.decode("utf-8-sig").splitlines(keepends=True)
    at = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    written = url if _PLAIN.fullmatch(url) else "'" + url.replace("'", "''") + "'"
    return "".join([*lines[:at], f"extends: {written}\n", *lines[at:]]).encode()


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _tell(copied: Document, commit: str, *, added: bool, moved: bool) -> None:
    shared = platform.shared(copied)
    environments = shared.pop("environments", None) or {}
    what = [*shared, *([f"{len(environments)} environments"] if environments else [])]
    listed = ", ".join(what[:-1]) + (" and " if what[1:] else "") + "".join(what[-1:])
    report.say(
        (f"{FILE}: 1 line added. " if added else "")
        + (
            f"{listed[:1].upper()}{listed[1:]} come from platform {commit[:7]}."
            if listed
            else "The platform sets nothing."
        )
        + ("" if moved or added else " Nothing changed there.")
    )
