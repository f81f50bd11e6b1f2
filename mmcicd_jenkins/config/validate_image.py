"""`image`: names of bases that can be read, platforms that exist, a user that Kubernetes can prove to be one."""

import re

from mmcicd_jenkins.config.findings import Findings
from mmcicd_jenkins.config.schema import FileSection
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.base_name import parse_base
from mmcicd_jenkins.image.platforms import parse_platform

_USER = re.compile(r"[0-9]{1,10}(:[0-9]{1,10})?")


def check_image(file: FileSection, findings: Findings) -> None:
    image = file.image
    for key, written in (("base", image.base), ("gpu_base", image.gpu_base)):
        try:
            parse_base(written) if written else None
        except InputError as e:
            findings.add(("image", key), e.what + (f": {e.why}" if e.why else ""), e.fix)
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
