"""A Docker engine through its SDK: found as the `docker` command finds it, asked for images, told in our errors.

The SDK is imported when an engine is used, and by the files `docker_*` alone: the way to an engine is in
`connection`, containers are in `containers`. The law: what runs is named by digest, by id, or by a name that
we gave a moment ago; whatever the SDK raises leaves as `OutsideFailed`, or `InputError` where the caller's input is at fault.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from mmcicd_jenkins.adapters.docker.connection import SHOWN, connect
from mmcicd_jenkins.errors import InputError, OutsideFailed

if TYPE_CHECKING:
    from docker import APIClient

# Docker 20.10: the first that measures a container without waiting a second for it.
OLDEST_API = (1, 41)
# From the last byte of a large image until the engine has unpacked it.
LONGEST_SILENCE_SECONDS = 3600

_OVER_NETWORKS = ("tcp", "http", "https", "ssh")
_HERE = ("", "localhost", "127.0.0.1", "::1")

Line = Callable[[str], None]
# `{"username", "password"}` or `{"identitytoken"}` for an image's registry; None = what Docker's own configuration has.
Login = Callable[[str], Mapping[str, str] | None]


class DockerEngine:
    """An engine that answered. `name` is where it is, for people; `platform` is `linux/amd64` and the like."""

    def __init__(self, api: "APIClient", name: str, version: str, platform: str = "linux/amd64") -> None:
        self.api = api
        self.name = name
        self.version = version
        self.platform = platform

    @classmethod
    def open(cls, variables: Mapping[str, str]) -> Self:
        """The engine of DOCKER_HOST, of the Docker context, or the one of this machine.

        Raises:
            OutsideFailed: none answers, or it is too old; says which and what to do.
        """
        api = connect(variables)
        name = variables.get("DOCKER_HOST") or str(api.base_url)
        with told("the Docker engine does not answer", name):
            seen = api.version()
        found = tuple(int(part) for part in str(seen.get("ApiVersion", "0")).split(".") if part.isdigit())
        if found < OLDEST_API:
            raise OutsideFailed(
                "the Docker engine is too old",
                where=name,
                why=f"it speaks API {seen.get('ApiVersion')}; 1.41 (Docker 20.10) is the oldest that will do",
                fix="upgrade Docker there",
            )
        api.timeout = LONGEST_SILENCE_SECONDS
        platform = f"{seen.get('Os', 'linux')}/{seen.get('Arch', 'amd64')}"
        return cls(api, name, str(seen.get("Version", "")), platform)

    @property
    def far(self) -> str:
        """The host of an engine on another machine; "" for one that shares our loopback."""
        parts = urlsplit(self.name)
        host = (parts.hostname or "") if parts.scheme in _OVER_NETWORKS else ""
        return "" if host in _HERE else host

    def image(self, reference: str) -> Mapping[str, Any] | None:
        """What the engine knows of an image (`docker image inspect`); None when it does not have it."""
        from docker.errors import ImageNotFound, NotFound

        with told(f"the engine cannot look at image {reference}", self.name):
            try:
                found: Mapping[str, Any] = self.api.inspect_image(reference)
            except (ImageNotFound, NotFound):
                return None
        return found

    def pull(
        self, reference: str, login: Mapping[str, str] | None = None, on_line: Line | None = None
    ) -> None:
        """Have the engine fetch `registry/name@sha256:...`; it checks every digest.

        Args:
            reference: by digest.
            login: `{"username", "password"}` or `{"identitytoken"}`; None = what Docker's own configuration has.
            on_line: progress, a line at a time.
        """
        with told(f"the engine cannot pull {reference}", self.name):
            lines = self.api.pull(reference, auth_config=login, stream=True, decode=True)
            _follow(lines, on_line, f"the engine cannot pull {reference}", self.name)

    def load(self, archive: Iterable[bytes]) -> None:
        """Load images from the bytes of an archive, as `docker load`. What `archive` raises passes through."""
        fed = _Fed(archive)
        with told("the engine cannot load an image", self.name):
            try:
                lines = self.api.load_image(fed)
                _follow(lines, None, "the engine cannot load an image", self.name)
            except Exception:
                # An archive that broke off reaches the engine as a broken request; the cause is what counts.
                if fed.error is not None:
                    raise fed.error from None
                raise

    def save(self, reference: str) -> Iterator[bytes]:
        """The archive of an image, as `docker save`, in pieces of a megabyte."""
        with told(f"the engine cannot hand out image {reference}", self.name):
            yield from self.api.get_image(reference, chunk_size=2**20)

    def build(
        self,
        context: Iterable[bytes],
        *,
        dockerfile: str,
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        platform: str = "",
        on_line: Line | None = None,
    ) -> str:
        """Build an image from the bytes of a tar with the classic builder; returns its id.

        Raises:
            BuildError: a step of the Dockerfile failed; its last lines are in it.
        """
        fed, said = _Fed(context), _BuildLog(on_line)
        with told("the engine cannot build the image", self.name):
            try:
                lines = self.api.build(
                    fileobj=fed,
                    custom_context=True,
                    dockerfile=dockerfile,
                    buildargs=dict(arguments),
                    labels=dict(labels),
                    platform=platform or None,
                    rm=True,
                    forcerm=True,
                    decode=True,
                    timeout=LONGEST_SILENCE_SECONDS,
                )
                for line in lines:
                    said.take(line)
            except Exception as e:
                if fed.error is not None:
                    raise fed.error from None
                if _is_dockerfile_fault(e):
                    raise BuildError((str(getattr(e, "explanation", e))[:SHOWN],)) from e
                raise
        return said.result()

    def push(
        self, name: str, tag: str, login: Mapping[str, str] | None = None, on_line: Line | None = None
    ) -> None:
        """Push `name:tag`, which the engine has, to its registry."""
        with told(f"the engine cannot push {name}:{tag}", self.name):
            lines = self.api.push(name, tag=tag, auth_config=login, stream=True, decode=True)
            _follow(lines, on_line, f"the engine cannot push {name}:{tag}", self.name)

    def tag(self, image: str, name: str, tag: str) -> None:
        with told(f"the engine cannot name image {image}", self.name):
            self.api.tag(image, name, tag=tag, force=True)

    def tags(self, name: str) -> tuple[str, ...]:
        """Every `name:tag` that the engine has of this name."""
        with told(f"the engine cannot list the images {name}", self.name):
            found = self.api.images(name)
        return tuple(tag for one in found for tag in one.get("RepoTags") or () if tag.startswith(f"{name}:"))

    def has_gpus(self) -> bool:
        """Whether the engine can give a container GPUs."""
        with told("the engine does not describe itself", self.name):
            return "nvidia" in (self.api.info().get("Runtimes") or {})

    def forget(self, reference: str) -> None:
        """Take a name off an image; the image goes with its last name, unless a container uses it."""
        from docker.errors import APIError

        with told(f"the engine cannot remove {reference}", self.name), contextlib.suppress(APIError):
            self.api.remove_image(reference)


def not_ignored(root: Path, dockerfile: str) -> frozenset[str]:
    """The paths below `root` that `.dockerignore` leaves in a build's context, as Docker reads it.

    Raises:
        InputError: the folder or the file cannot be read.
    """
    from docker.utils.build import exclude_paths

    try:
        path = root / f"{dockerfile}.dockerignore"
        path = path if path.is_file() else root / ".dockerignore"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return frozenset(exclude_paths(str(root), patterns, dockerfile=dockerfile))
    except (OSError, UnicodeDecodeError) as e:
        raise InputError("the build context cannot be read", where=str(root), why=str(e)) from e


class BuildError(Exception):
    """A step of a Dockerfile failed. Never leaves the adapters: whoever asked for the build tells it."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__(lines[-1] if lines else "no output")
        self.lines = lines


@contextlib.contextmanager
def told(what: str, where: str) -> Iterator[None]:
    """Turn what the SDK raises into ours.

    Raises:
        OutsideFailed: the engine, its registry or the way to it failed.
    """
    import requests
    import urllib3
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError as e:
        why = str(e.explanation or e)[:SHOWN]
        status = e.status_code or 0
        raise OutsideFailed(what, where=where, why=why, fix=_advice(why), retryable=status >= 500) from e
    except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError) as e:
        why = str(e)[:SHOWN] or type(e).__name__
        raise OutsideFailed(what, where=where, why=why, retryable=True) from e


def _advice(why: str) -> str:
    said = why.lower()
    if "unauthorized" in said or "denied" in said or "no basic auth" in said:
        return "docker login there, or set MMCICD_REGISTRY_USER and MMCICD_REGISTRY_PASSWORD"
    if "no space left" in said:
        return "make room where the engine keeps its images: docker system df says what takes it"
    if "http response to https" in said or "x509" in said or "certificate" in said:
        return "the engine itself must trust that registry: /etc/docker/certs.d, or insecure-registries"
    if "device driver" in said and "gpu" in said:
        return "install the NVIDIA container toolkit on that machine, or set gpus: 0"
    return ""


def _follow(lines: Iterable[Mapping[str, Any]], on_line: Line | None, what: str, where: str) -> None:
    """Hand on progress; an engine tells failures in the stream, after it has said 200. The stream is read to its end,
    so that its connection is free again.
    """
    why = ""
    for line in lines:
        why = why or str(line.get("error") or "")[:SHOWN]
        if on_line is not None and line.get("status"):
            about = f"{line['id']}: " if line.get("id") else ""
            on_line(" ".join(f"{about}{line['status']} {line.get('progress', '')}".split()))
    if why:
        raise OutsideFailed(what, where=where, why=why, fix=_advice(why), retryable=_may_pass(why))


def _may_pass(why: str) -> bool:
    said = why.lower()
    return any(word in said for word in ("timeout", "connection", "eof", "unavailable", "too many"))


def _is_dockerfile_fault(error: BaseException) -> bool:
    """The engine refuses a Dockerfile that it cannot read with 400 before it builds anything."""
    return getattr(error, "status_code", None) == 400


class _Fed:
    """An iterable for the SDK to send; keeps the error of whoever gives the bytes, which the SDK would bury."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except Exception as e:
            self.error = e
            raise

    def close(self) -> None:
        """The SDK closes what it has sent."""


class _BuildLog:
    """The lines of a build: handed on whole, the last ones kept."""

    KEPT = 30

    def __init__(self, on_line: Line | None) -> None:
        self._on_line = on_line
        self._lines: list[str] = []
        self._image = ""
        self._error = ""

    def take(self, line: Mapping[str, Any]) -> None:
        aux = line.get("aux")
        if isinstance(aux, Mapping) and aux.get("ID"):
            self._image = str(aux["ID"])
        for text in str(line.get("stream") or line.get("status") or "").splitlines():
            if text.strip():
                self._lines = [*self._lines[1 - self.KEPT :], text.rstrip()]
                if self._on_line is not None:
                    self._on_line(text.rstrip())
        self._error = self._error or str(line.get("error") or "")[:SHOWN]

    def result(self) -> str:
        """The id of the image. Raises `BuildError` when the build said that it failed."""
        if self._error:
            raise BuildError((*self._lines, self._error))
        if not self._image:
            raise BuildError((*self._lines, "the build ended without an image"))
        return self._image


def dockers_own(image: str) -> None:
    """No login of ours: Docker's own configuration decides."""
