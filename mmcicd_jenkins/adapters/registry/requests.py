"""What blobs and documents of one repository share: its addresses, its rights, its requests."""

from collections.abc import Callable, Collection
from typing import Any

from mmcicd_jenkins.adapters.registry.asks import Answer, Ask
from mmcicd_jenkins.adapters.registry.errors import Doing
from mmcicd_jenkins.adapters.registry.http import Registry
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.artifact import check_tag, is_digest
from mmcicd_jenkins.image.reference import Reference

READ, WRITE = "read from it", "write to it"


def blob_path(digest: str) -> str:
    """Where a blob is, below its repository.

    Raises:
        InputError: `digest` is none; it becomes a part of an address.
    """
    return f"blobs/{checked_digest(digest)}"


def manifest_path(which: str) -> str:
    """Where the document of a tag or a digest is, below its repository.

    Raises:
        InputError: `which` is neither.
    """
    return f"manifests/{which if is_digest(which) else check_tag(which)}"


def checked_digest(digest: str) -> str:
    if not is_digest(digest):
        raise InputError(f"{digest!r} is not a digest", fix="a digest is sha256: and 64 hexadecimal digits")
    return digest


class Requests:
    """Requests to the repository `place`, whose tag and digest say nothing here."""

    def __init__(self, place: Reference, registry: Registry) -> None:
        self.place = Reference(registry=place.registry, name=place.name)
        self._registry = registry
        self._pull = (f"repository:{place.name}:pull",)
        self._push = (f"repository:{place.name}:pull,push",)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place})"

    def _doing(self, to: str) -> Doing:
        return self._registry.doing(to, self.place.name)

    def _url(self, path: str, to: str = READ) -> str:
        return self._registry.url(f"{self.place.name}/{path}", self._doing(to))

    def _ask(
        self,
        method: str,
        path: str,
        to: str,
        *,
        expect: Collection[int],
        scopes: tuple[str, ...] = (),
        look: Callable[[], Answer | None] | None = None,
        **more: Any,
    ) -> Answer:
        """The answer to a request; `path` is below the repository, or a whole address."""
        ask = Ask(
            method=method,
            url=path if "://" in path else self._url(path, to),
            doing=self._doing(to),
            scopes=scopes or self._pull,
            expect=frozenset(expect),
            **more,
        )
        return self._registry.ask(ask, look)
