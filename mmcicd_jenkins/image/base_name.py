"""A base image as people write it: on a registry, in an OCI layout, or in a Docker engine. Pure.

`tensorflow/serving:2.20.0`, `registry.example/mirror/serving:2.20.0`, `oci:PATH:TAG`, `docker:NAME:TAG`. What is
written is a name that may move; the lock says which bytes it stands for.
"""

from typing import Literal

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.reference import Reference, parse_reference
from mmcicd_jenkins.records import dataclass

LAYOUT, ENGINE = "oci:", "docker:"


@dataclass(frozen=True, kw_only=True)
class BaseName:
    """`reference` on a registry and in an engine, `path` and `tag` in a layout. `text` is as written."""

    text: str
    kind: Literal["registry", "layout", "engine"]
    reference: Reference | None = None
    path: str = ""
    tag: str = ""

    @property
    def digest(self) -> str:
        """The digest that stands in the name itself; "" when the lock has to say it."""
        return self.reference.digest if self.reference is not None and self.kind == "registry" else ""

    @property
    def is_here(self) -> bool:
        """Whether it lies on this machine."""
        return self.kind != "registry"


def parse_base(text: str) -> BaseName:
    """Read a base as written.

    Raises:
        InputError: it is none; says what to write.
    """
    if "://" in text:
        raise InputError(
            f"{text!r} is not the name of an image",
            why="images have no scheme",
            fix="write registry.example/name:tag",
        )
    if text.startswith(LAYOUT):
        path, colon, tag = text.removeprefix(LAYOUT).rpartition(":")
        if not colon or not path or not tag or "/" in tag:
            raise InputError(f"{text!r} names no image in a layout", fix="write oci:PATH:TAG")
        return BaseName(text=text, kind="layout", path=path, tag=tag)
    if text.startswith(ENGINE):
        reference = parse_reference(text.removeprefix(ENGINE))
        return BaseName(text=text, kind="engine", reference=_tagged(reference))
    return BaseName(text=text, kind="registry", reference=_tagged(parse_reference(text)))


def _tagged(reference: Reference) -> Reference:
    """Every client takes `latest` where nothing is said."""
    if reference.tag or reference.digest:
        return reference
    return Reference(registry=reference.registry, name=reference.name, tag="latest")
