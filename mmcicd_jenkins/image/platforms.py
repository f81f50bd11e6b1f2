"""What an image runs on: `linux/amd64`, `linux/arm64/v8`. Pure.

A variant that is the usual one of its architecture may be left out; so `linux/arm64` and `linux/arm64/v8` are one.
"""

import re
from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

_PART = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_USUAL = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


@dataclass(frozen=True, kw_only=True)
class Platform:
    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for platforms that are one."""
        return self.os, self.architecture, self.variant or _USUAL.get(self.architecture, "")

    def to_json(self) -> dict[str, str]:
        variant = {"variant": self.variant} if self.variant else {}
        return {"architecture": self.architecture, "os": self.os, **variant}


# What an image without a base says it is for: its files run nowhere, and most machines are this.
USUAL = Platform(os="linux", architecture="amd64")


def parse_platform(text: str) -> Platform:
    """Read `linux/amd64` or `linux/arm64/v8`.

    Raises:
        InputError: it is none.
    """
    parts = text.split("/")
    if len(parts) not in {2, 3} or not all(_PART.fullmatch(part) for part in parts):
        raise InputError(f"{text!r} is not a platform", fix="write linux/amd64 or linux/arm64")
    return Platform(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) == 3 else "")


def platform_of(document: Mapping[str, Any]) -> Platform | None:
    """What a descriptor's `platform` or an image's config says; None when it says nothing that can be one."""
    os, architecture = document.get("os"), document.get("architecture")
    variant = document.get("variant") or ""
    if not all(isinstance(part, str) for part in (os, architecture, variant)):
        return None
    parts = [str(os), str(architecture), *([variant] if variant else [])]
    if not all(_PART.fullmatch(part) for part in parts):
        return None
    return Platform(os=str(os), architecture=str(architecture), variant=variant)
