"""What credentials of `jenkins.credentials` are for: the uses by folder, and which kind of secret an address asks for.

One table for the checker and for the pipelines. A use without a network address needs no credential; an
address of a kind that is not here (hdfs, abfs, ...) is reached with what the agent has of its own.
"""

from collections.abc import Iterable
from typing import Literal

Zone = Literal["ci", "ops"]
DataKind = Literal["s3", "gs", "https", ""]
GitKind = Literal["ssh", "https", ""]

USES: dict[Zone, tuple[str, ...]] = {
    "ci": ("source", "data", "registry", "ledger", "training"),
    "ops": ("ledger", "signing", "registry", "data", "source", "prometheus", "serving", "serving-ca"),
}
# With data of several kinds each kind has an id of its own: `data-s3`, `data-gs`, `data-https`.
DATA_KINDS: tuple[DataKind, ...] = ("s3", "gs", "https")
# What ops may take over from ci: reading data and pushing to the registry give no more rights there. A ledger
# id of ci only reads, and a signing key exists in ops alone.
SHARED_WITH_OPS = ("data", "registry", "source")
# Of an environment: a login that looks and cannot deploy. With it the monitor looks, and acts with the other one.
MONITOR = "{environment}-monitor"
_DATA: dict[str, DataKind] = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "https": "https",
    "http": "https",
}


def data_kind(url: str) -> DataKind:
    """The storage, "" for a path and for storages whose credentials are not handed over by Jenkins."""
    return _DATA.get(url.partition("://")[0].lower(), "") if "://" in url else ""


def data_kinds(urls: Iterable[str]) -> tuple[DataKind, ...]:
    """The kinds that occur, each once, in a fixed order."""
    found = {data_kind(url) for url in urls}
    return tuple(kind for kind in DATA_KINDS if kind in found)


def git_kind(url: str) -> GitKind:
    """How git reaches an address; "" for a path on this machine and for addresses that know no credentials."""
    scheme, separator, _ = url.partition("://")
    if separator:
        kinds: dict[str, GitKind] = {"ssh": "ssh", "git+ssh": "ssh", "https": "https", "http": "https"}
        return kinds.get(scheme.lower(), "")
    return "ssh" if ":" in url.split("/", maxsplit=1)[0] else ""
