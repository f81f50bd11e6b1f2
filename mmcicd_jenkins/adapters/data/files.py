"""Where data lie: local paths and every fsspec URL behind one small reader. The only module that knows fsspec.

A source is one file or a folder of files; a file has a path inside its source, a size, and a tag that changes
with its bytes where the storage has one (ETag, generation, time). Errors of the many libraries behind
fsspec end here.
"""

import base64
import contextlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from mmcicd_jenkins.adapters.credentials import Login
from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed
from mmcicd_jenkins.records import dataclass

_UNAUTHORIZED, _NOT_FOUND = 401, 404
# Where each storage's credentials are looked for.
_NAMES = {
    **dict.fromkeys(("s3", "s3a"), "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or an AWS profile"),
    **dict.fromkeys(("gs", "gcs"), "GOOGLE_APPLICATION_CREDENTIALS"),
    **dict.fromkeys(("https", "http"), "MMCICD_DATA_USER and MMCICD_DATA_PASSWORD"),
}
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_TAGS = (
    "ETag",
    "etag",
    "VersionId",
    "generation",
    "md5Hash",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
    "created",
)
_VERSIONS = ("VersionId", "version_id", "generation")
_ABSENT = re.compile(r"NoSuch(Bucket|Key|Version)|bucket does not exist", re.IGNORECASE)
_DENIED = re.compile(
    r"\b(401|403)\b|access.?denied|forbidden|unauthorized|credentials|expired.?token", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file of a source. `path` is relative to a folder source, "" when the source is this one file."""

    path: str
    place: str
    size: int | None
    tag: str
    version: str = ""


def redacted(url: str) -> str:
    """`url` without a password or a query, which may hold a signature."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", url).partition("?")[0] if "://" in url else url


def file_name(url: str) -> str:
    """The name under which the source appears in the data folder: the last part of its path, made harmless."""
    path = unquote(urlsplit(url).path) if "://" in url else url
    host = urlsplit(url).netloc if "://" in url else ""
    name = PurePosixPath(path.rstrip("/")).name or host
    name = re.sub(r"[\x00-\x1f/\\]", "_", name)
    return name if name not in {"", ".", ".."} else "data"


class Source:
    """A reader of one address. A web server is told `login` only when it asks for one."""

    def __init__(self, url: str, version: str = "", login: Login | None = None) -> None:
        self.url = url
        self.is_remote = "://" in url and not url.startswith("file://")
        self._version = version
        self._path = url.removeprefix("file://")
        self._login = login
        self._protocol = ""
        self._system: Any = None
        if self.is_remote:
            self._connect()

    def _connect(self, **login: object) -> None:
        protocol = self._protocol = self.url.partition("://")[0].split("::")[-1].lower()
        extra = _EXTRAS.get(protocol)
        try:
            import fsspec

            # Versions are asked for where they exist, so that the locked bytes stay readable after an overwrite.
            options = {"version_aware": True} if extra else login
            self._system, self._path = fsspec.core.url_to_fs(self.url, **options)
        except ImportError as e:
            install = f"mmcicd-jenkins[{extra}]" if extra else "the package that it names"
            raise InputError(
                f"reading {protocol}:// needs a package that is not installed",
                where=redacted(self.url),
                why=str(e),
                fix=f"pip install '{install}'" if extra else f"pip install {install}",
            ) from e
        except ValueError as e:
            raise InputError(
                f"{protocol}:// is no storage that can be read",
                where=redacted(self.url),
                why=str(e),
                fix="use a path, or https, s3, gs or another fsspec protocol",
            ) from e
        except Exception as e:
            raise told(e, self.url) from e

    def files(self) -> tuple[bool, list[SourceFile]]:
        """Whether the source is a folder, and its files sorted by path.

        Raises:
            InputError: there is nothing, or something that is no plain file.
            OutsideFailed: the storage did not answer.
        """
        try:
            folder, files = self._asked_files() if self.is_remote else self._local_files()
        except MmcicdError:
            raise
        except Exception as e:
            raise told(e, self.url) from e
        if not files:
            raise InputError(
                "the folder holds no file",
                where=redacted(self.url),
                fix="correct the address, or put data there",
            )
        return folder, sorted(files, key=lambda file: file.path)

    def _asked_files(self) -> tuple[bool, list[SourceFile]]:
        try:
            return self._remote_files()
        except Exception as e:
            login = self._login
            if login is None or not login.password or _status(e) != _UNAUTHORIZED:
                raise
            # A header, not the session's own login: only this one stays behind on a redirect to another server.
            pair = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
            self._connect(headers={"Authorization": f"Basic {pair}"})
            return self._remote_files()

    def _remote_files(self) -> tuple[bool, list[SourceFile]]:
        self._system.invalidate_cache()
        path, options = self._versioned(self._path, self._version)
        info = self._system.info(path, **options)
        if info.get("type") != "directory":
            return False, [self._remote_file("", info)]
        found = self._system.find(self._path, detail=True)
        root = self._system._strip_protocol(self._path).rstrip("/") + "/"  # noqa: SLF001  fsspec's own way to compare paths
        files = []
        for place, each in found.items():
            path = place.removeprefix(root)
            _refuse_unsafe(path, self.url)
            files.append(self._remote_file(path, {"name": place, **each}))
        return True, files

    def _remote_file(self, path: str, info: Mapping[str, Any]) -> SourceFile:
        tags = [f"{key}={info[key]}" for key in _TAGS if info.get(key) is not None]
        version = next((str(info[key]) for key in _VERSIONS if info.get(key) not in {None, "null"}), "")
        size = info.get("size")
        return SourceFile(
            path=path,
            place=self._path if path == "" else info["name"],
            size=None if size is None else int(size),
            tag=f"{size} {' '.join(tags)}",
            version=version,
        )

    def _local_files(self) -> tuple[bool, list[SourceFile]]:
        root = Path(self._path)
        status = root.stat()
        if not stat.S_ISDIR(status.st_mode):
            return False, [_local_file("", root, status)]
        files = []
        for folder, names, leaves in os.walk(root, onerror=_raise):
            linked = next((name for name in names if (Path(folder) / name).is_symlink()), None)
            if linked is not None:
                raise InputError(
                    "a link to a folder stands among the data",
                    where=str(Path(folder) / linked),
                    why="what it leads to could change unseen",
                    fix="put the files themselves there",
                )
            for name in leaves:
                path = Path(folder) / name
                files.append(_local_file(path.relative_to(root).as_posix(), path, path.stat()))
        return True, files

    @contextlib.contextmanager
    def open(self, file: SourceFile, offset: int = 0) -> Iterator[IO[bytes]]:
        """The bytes of `file` from `offset` on.

        Raises:
            ValueError: this storage cannot start in the middle.
            OutsideFailed: reading failed, also half-way.
        """
        try:
            with self._stream(file) as stream:
                if offset:
                    stream.seek(offset)
                yield stream
        except (MmcicdError, ValueError):
            raise
        except Exception as e:
            raise told(e, self.url) from e

    def _stream(self, file: SourceFile) -> Any:
        if not self.is_remote:
            return Path(file.place).open("rb")
        path, options = self._versioned(file.place, file.version)
        return self._system.open(path, "rb", **options)

    def _versioned(self, path: str, version: str) -> tuple[str, dict[str, str]]:
        """How each storage that has versions is asked for one: S3 by an argument, Google by the name."""
        if not version:
            return path, {}
        if self._protocol in {"s3", "s3a"}:
            return path, {"version_id": version}
        return (path if "#" in path else f"{path}#{version}"), {}


def _local_file(path: str, place: Path, status: os.stat_result) -> SourceFile:
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            "this is no plain file", where=str(place), fix="keep only files and folders among the data"
        )
    return SourceFile(
        path=path, place=str(place), size=status.st_size, tag=f"{status.st_size} {status.st_mtime_ns}"
    )


def _raise(error: OSError) -> None:
    raise error


def _refuse_unsafe(path: str, url: str) -> None:
    parts = path.split("/")
    if (
        not path
        or path.startswith("/")
        or any(part in {"", ".", ".."} for part in parts)
        or "\0" in path
        or "\\" in path
    ):
        raise InputError(
            f"the storage holds an object named {path[:80]!r}",
            where=redacted(url),
            why="it cannot be a file below the data folder",
            fix="rename or remove that object",
        )


def told(error: Exception, url: str) -> MmcicdError:
    """Whatever a storage library raised, in our words."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and _status(cause) != _NOT_FOUND:
        return told(cause, url)  # fsspec says "not found" for every answer of a web server, and for none
    where, why = redacted(url), _first_line(error)
    if isinstance(error, FileNotFoundError | NotADirectoryError) or _ABSENT.search(why):
        return InputError("there is no such data source", where=where, why=why, fix="correct the address")
    if isinstance(error, IsADirectoryError):
        return InputError("this data source is a folder", where=where, why=why)
    if isinstance(error, PermissionError) or _DENIED.search(why) or "Credentials" in type(error).__name__:
        return OutsideFailed(
            "reading the data source is not allowed",
            where=where,
            why=why,
            fix="in Jenkins: the credential whose id stands in jenkins.credentials.ci.data or .ops.data; "
            f"elsewhere: {_NAMES.get(url.partition('://')[0].lower(), 'the variables that its library reads')}",
        )
    return OutsideFailed(
        "the data source could not be read",
        where=where,
        why=why,
        fix="run the same command again: what was read is kept",
        retryable=True,
    )


def _status(error: Exception) -> int:
    """What a web server answered; 0 for everything else."""
    return int(getattr(error, "status", 0) or getattr(error.__cause__, "status", 0) or 0)


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).strip() or type(error).__name__
    # A message may quote the whole address, with a signature in its query.
    return re.sub(r"\?\S*", "", redacted(text.splitlines()[0]))[:256]
