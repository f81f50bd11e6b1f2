"""The lock of `mmcicdw`: pip decides which versions, the package index says which files they are.

pip's dry run reports the files that it would install here; other agents have another Python or processor, so the
sha256 of each version's other files are read from the index's page of the project (JSON or HTML, as indexes answer).
pip's own variables and files say which index, proxy and certificates; nothing is installed.
"""

import hashlib
import html
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters.credentials import without_ours
from mmcicd_jenkins.adapters.git.answers import redact
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.records import dataclass

PYPI = "https://pypi.org/simple"
TIMEOUT_SECONDS = 900.0
PAGE_TIMEOUT_SECONDS = 30.0
AT_ONCE = 8
LARGEST_PAGE = 64 << 20
_ACCEPTED = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.1"
_LINK = re.compile(r"""<a\s[^>]*?href\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Wheels for what an agent can be: Linux or macOS, a Python that we run on.
_USABLE = re.compile(r"-(?:(?:py2\.)?py3|cp3\d+-abi3|cp31[123]-cp31[123])-(?:any|[\w.]*(?:linux|macosx)[\w.]*)\.whl$|"
                     r"-(?:py2\.)?py3-none-any\.whl$")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A distribution that pip chose: its exact version and the sha256 of the files of it that may be installed."""

    name: str
    version: str
    url: str
    sha256: tuple[str, ...]
    direct: bool = False  # a path or an address that was asked for, not a choice of the index


def resolve(requirements: Sequence[str], folder: Path, say: Callable[[str], None]) -> tuple[Resolved, ...]:
    """What pip would install for `requirements`, with the hashes of each version's files.

    Args:
        folder: where a relative path of a wheel starts.
        say: told what an index does not tell.

    Raises:
        InputError: pip cannot read a requirement, or nothing fits.
        OutsideFailed: there is no pip, or the index cannot be reached.
    """
    chosen = [_read(each) for each in _dry_run(requirements, folder)]
    indexes = _indexes()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        others = pool.map(lambda one: () if one.direct else _files_of(one, indexes), chosen)
        return tuple(_joined(one, more, say) for one, more in zip(chosen, others, strict=True))


def _joined(one: Resolved, more: tuple[str, ...], say: Callable[[str], None]) -> Resolved:
    if not more and not one.direct:
        say(
            f"{one.name}: the index tells no sha256, so only the file for this Python and processor is locked"
        )
    return replace(one, sha256=tuple(dict.fromkeys((*one.sha256, *more))))


def _pip(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=without_ours(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        raise OutsideFailed("pip did not come to an end", why=f"after {e.timeout:g} s", retryable=True) from e


def _dry_run(requirements: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="mmcicd-lock-") as made:
        report = Path(made) / "report.json"
        options = ["--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
        done = _pip("install", *options, "--", *requirements, folder=folder)
        if done.returncode:
            raise _failed(done.stderr or done.stdout, requirements)
        installs = json.loads(report.read_text(encoding="utf-8"))["install"]
        return list(installs)


def _failed(said: str, requirements: Sequence[str]) -> InputError | OutsideFailed:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    why = next((line for line in lines if line.startswith("ERROR")), (lines or ["pip said nothing"])[-1])[
        :256
    ]
    where = redact(" ".join(requirements))
    if "No module named pip" in said:
        return OutsideFailed("there is no pip beside this program", why=why, fix="python -m ensurepip")
    if "Invalid requirement" in said or "does not exist" in said or "not a valid wheel" in said:
        return InputError("pip cannot read what jenkins.cli asks for", where=where, why=redact(why))
    return OutsideFailed(
        "what mmcicdw should install cannot be resolved",
        where=where,
        why=redact(why),
        fix="a package index must be reachable to make the lock: see PIP_INDEX_URL, PIP_PROXY, PIP_CERT",
        retryable=True,
    )


def _read(entry: Mapping[str, Any]) -> Resolved:
    about, download = entry["metadata"], entry["download_info"]
    archive = download.get("archive_info") or {}
    sha256 = (archive.get("hashes") or {}).get("sha256", "")
    if not sha256 and download["url"].startswith("file://"):
        local = urllib.request.url2pathname(urllib.parse.urlsplit(download["url"]).path)
        if Path(local).is_file():
            sha256 = hashlib.sha256(Path(local).read_bytes()).hexdigest()
    return Resolved(
        name=str(about["name"]),
        version=str(about["version"]),
        url=str(download["url"]),
        sha256=(sha256,) if sha256 else (),
        direct=bool(entry.get("is_direct")),
    )


def _indexes() -> tuple[str, ...]:
    """As pip finds them: variables before files."""
    variables = os.environ
    first = variables.get("PIP_INDEX_URL") or _setting("index-url") or PYPI
    others = variables.get("PIP_EXTRA_INDEX_URL") or _setting("extra-index-url")
    return (first, *others.split())


def _setting(name: str) -> str:
    done = _pip("config", "get", f"global.{name}")
    return done.stdout.strip() if done.returncode == 0 else ""


def _files_of(one: Resolved, indexes: Sequence[str]) -> tuple[str, ...]:
    """The sha256 of every usable file of that version; none where no index tells."""
    project = re.sub(r"[-_.]+", "-", one.name).lower()
    found: dict[str, str] = {}
    for index in indexes:
        found |= _page(f"{index.rstrip('/')}/{urllib.parse.quote(project)}/")
    ours = {file: sha256 for file, sha256 in found.items() if _is_of(file, project, one.version)}
    wheels = [sha256 for file, sha256 in ours.items() if _USABLE.search(file)]
    # Building from source on the agent only where it cannot be helped.
    return tuple(wheels or [sha256 for file, sha256 in ours.items() if not file.endswith(".whl")])


def _is_of(file: str, project: str, version: str) -> bool:
    stem = file.removesuffix(".zip").removesuffix(".tar.gz")
    name, _, rest = stem.partition("-") if file.endswith(".whl") else stem.rpartition("-")
    return re.sub(r"[-_.]+", "-", name).lower() == project and rest.split("-")[0] == version


def _page(url: str) -> dict[str, str]:
    """File name -> sha256, of one project's page; nothing where the index does not have it."""
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(  # noqa: S310  pip reads the same address
        urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])),
        headers={"Accept": _ACCEPTED, **_authorization(parts)},
    )
    try:
        with _opener().open(request, timeout=PAGE_TIMEOUT_SECONDS) as answer:
            data, kind = answer.read(LARGEST_PAGE), answer.headers.get_content_type()
    except (OSError, ValueError, urllib.error.URLError):
        # pip reached the index a moment ago; what its page would add is told as missing.
        return {}
    return _of_json(data) if kind.endswith("json") else _of_html(data.decode("utf-8", "replace"))


def _authorization(parts: urllib.parse.SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _opener() -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = []
    proxy, certificates = os.environ.get("PIP_PROXY"), os.environ.get("PIP_CERT")
    if proxy:
        handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
    if certificates:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certificates)))
    return urllib.request.build_opener(*handlers)


def _of_json(data: bytes) -> dict[str, str]:
    try:
        files = json.loads(data).get("files", [])
    except (ValueError, AttributeError):
        return {}
    told = {str(file.get("filename")): (file.get("hashes") or {}).get("sha256", "") for file in files}
    return {name: sha256 for name, sha256 in told.items() if _SHA256.fullmatch(sha256)}


def _of_html(text: str) -> dict[str, str]:
    found = {}
    for link in map(html.unescape, _LINK.findall(text)):
        address, _, fragment = link.partition("#")
        sha256 = fragment.removeprefix("sha256=")
        if fragment.startswith("sha256=") and _SHA256.fullmatch(sha256):
            found[urllib.parse.unquote(address.rpartition("/")[2])] = sha256
    return found
