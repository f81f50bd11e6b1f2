"""`image`: names of bases that can be read, platforms that exist, a user that Kubernetes can prove to be one, a Dockerfile
that is there.
"""

import re
from pathlib import Path, PurePosixPath

from mmcicd_jenkins.config.findings import Findings
from mmcicd_jenkins.config.places import is_file, leaves_root
from mmcicd_jenkins.config.schema import FileSection, ImageSection
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.base_name import parse_base
from mmcicd_jenkins.image.platforms import parse_platform

_USER = re.compile(r"[0-9]{1,10}(:[0-9]{1,10})?")


# A name of a variable; these are ours.
_ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
GIVEN = ("BASE", "MODEL_DIR", "MODEL_NAME", "MODEL_VERSION")


def check_image(file: FileSection, findings: Findings, root: Path) -> None:
    image = file.image
    check_builder(image, findings, root)
    for key, written in (("base", image.base), ("gpu_base", image.gpu_base)):
        try:
            parse_base(written) if written else None
        except InputError as e:
            findings.add(("image", key), e.what + (f": {e.why}" if e.why else ""), e.fix)
    _check_verify_with(image, findings)
    for index, text in enumerate(image.platforms):
        try:
            platform = parse_platform(text)
        except InputError as e:
            findings.add(("image", "platforms", index), e.what, e.fix)
            continue
        if platform.os != "linux":
            what = f"{text!r} is no Linux, and TensorFlow Serving runs on nothing else"
            findings.add(("image", "platforms", index), what, f"write linux/{platform.architecture}")
    if image.user and not _USER.fullmatch(image.user):
        what = f"{image.user!r} is no number: Kubernetes cannot see that a name is not root"
        findings.add(("image", "user"), what, "write a number, for example 10001, or 10001:10001")
    if image.platforms and not (image.base or image.gpu_base):
        findings.warn(("image", "platforms"), "without a base there is nothing to choose from", "name a base")


def _check_verify_with(image: ImageSection, findings: Findings) -> None:
    """Each can be read and is another than the base, and none stands twice."""
    seen = {base: key for key, base in (("base", image.base), ("gpu_base", image.gpu_base)) if base}
    for index, written in enumerate(image.verify_with):
        at = ("image", "verify_with", index)
        try:
            parse_base(written)
        except InputError as e:
            findings.add(at, e.what + (f": {e.why}" if e.why else ""), e.fix)
            continue
        if seen.get(written) == "verify_with":
            findings.add(at, f"{written} stands here twice", "delete one")
        elif written in seen and not (image.base and image.gpu_base):
            findings.add(
                at, f"{written} is image.{seen[written]}, which is verified in any case", "delete it here"
            )
        seen.setdefault(written, "verify_with")


def check_builder(image: ImageSection, findings: Findings, root: Path) -> None:
    """A Dockerfile belongs to the builder that reads it."""
    at = ("image",)
    if image.builder == "docker" and not image.dockerfile:
        what, fix = "there is no Dockerfile to build", "add `dockerfile: PATH`, or delete `builder: docker`"
        findings.add((*at, "builder"), what, fix)
    if image.builder != "docker":
        for name in ("dockerfile", "build_args"):
            if getattr(image, name):
                fix = "add `builder: docker`, or delete this"
                findings.add((*at, name), "the image is made without a Dockerfile", fix, on="key")
        return
    if image.dockerfile and not leaves_root(image.dockerfile, root) and not is_file(root / image.dockerfile):
        fix = "create it, or correct the path; it is relative to the root"
        findings.add((*at, "dockerfile"), f"there is no file {image.dockerfile}", fix)
    for name in ("dockerfile", "context"):
        text = getattr(image, name)
        if text and leaves_root(text, root):
            fix = "write a path relative to the root, without .."
            findings.add((*at, name), f"{text!r} is outside the repository", fix)
    if (
        image.dockerfile
        and image.context
        and not PurePosixPath(image.dockerfile).is_relative_to(image.context)
    ):
        what = f"{image.dockerfile} is not in the folder that the build is given"
        findings.add((*at, "context"), what, "name a folder above the Dockerfile, or leave it out")
    for name in image.build_args:
        if name in GIVEN or not _ARGUMENT.fullmatch(name):
            what = f"{name} is given by us" if name in GIVEN else f"{name[:60]!r} cannot be a build argument"
            findings.add((*at, "build_args", name), what, "choose another name", on="name")
