"""Names of images: `registry/name@sha256:...`. What is served is named by digest alone; a tag is for people.

The rules for what is a registry and what a name are those of every Docker client: a first part with a dot, a
colon or `localhost` is a registry, anything else lies on Docker Hub.
"""

import re

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

DOCKER_HUB = "docker.io"

_NAME_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_NAME_PART}(?:/{_NAME_PART})*")
_REGISTRY = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An image's name. `tag` and `digest` may be ""; with a digest, the tag decides nothing."""

    registry: str
    name: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.name}{tag}{digest}"

    def pinned(self, digest: str) -> "Reference":
        """The same image by `digest`, without a tag.

        Raises:
            InputError: `digest` is none.
        """
        if not _DIGEST.fullmatch(digest):
            raise _bad(digest, "a digest is sha256: and 64 hexadecimal digits")
        return Reference(registry=self.registry, name=self.name, digest=digest)


def parse_reference(text: str) -> Reference:
    """Read `[registry/]name[:tag][@sha256:...]`.

    Raises:
        InputError: it is none; says which part.
    """
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _bad(text, "after @ comes sha256: and 64 hexadecimal digits")
    # A colon before the last slash is a port.
    last = rest.rpartition("/")[2]
    _, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _bad(text, f"{tag!r} is not a tag")
    registry, name = _split_registry(rest.removesuffix(colon + tag))
    if not _REGISTRY.fullmatch(registry):
        raise _bad(text, f"{registry!r} is not the address of a registry")
    if not _NAME.fullmatch(name):
        raise _bad(text, "a name has lower-case letters, digits and single inner `.`, `_` or `-`")
    return Reference(registry=registry, name=name, tag=tag, digest=digest)


def parse_pinned(text: str) -> Reference:
    """Read a reference that names its image by digest and nothing else.

    Raises:
        InputError: it is none, or has a tag.
    """
    reference = parse_reference(text)
    if reference.tag or not reference.digest:
        raise _bad(text, "a tag can be moved; only a digest says which image this is")
    return reference


def _split_registry(path: str) -> tuple[str, str]:
    first, slash, rest = path.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return DOCKER_HUB, path if slash else f"library/{path}"


def _bad(text: str, why: str) -> InputError:
    return InputError(
        f"{text!r} is not the name of an image", why=why, fix="write registry.example/name@sha256:..."
    )
