"""The packages with which a model was trained, as a CycloneDX 1.6 document. Pure: same release, same bytes.

It lists what the training environment held, which is not what the serving image holds: that is the base image's own
list to tell.
"""

import re
import uuid
from collections.abc import Sequence
from urllib.parse import quote

from mmcicd_jenkins.release.records import Release

PREDICATE = "https://cyclonedx.org/bom"
_NOT_A_NAME = re.compile(r"[-_.]+")


def package_list(release: Release, packages: Sequence[str]) -> dict[str, object]:
    """Args:
    packages: `name==version`, as the environment lists them.
    """
    model = f"{release.model}@{release.version}"
    components = [_component(*one.partition("==")[::2]) for one in sorted(set(packages))]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, release.image_digest)}",
        "version": 1,
        "metadata": {
            "timestamp": release.created,
            "component": {
                "type": "machine-learning-model",
                "bom-ref": model,
                "name": release.model,
                "version": str(release.version),
                "hashes": [{"alg": "SHA-256", "content": release.model_digest.removeprefix("sha256:")}],
            },
        },
        "components": components,
        "dependencies": [{"ref": model, "dependsOn": [one["bom-ref"] for one in components]}],
    }


def _component(name: str, version: str) -> dict[str, object]:
    """A package of Python's index; its name as the package URL's specification writes it."""
    purl = f"pkg:pypi/{quote(_NOT_A_NAME.sub('-', name).lower(), safe='')}"
    if version:
        purl += f"@{quote(version, safe='.')}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        **({"version": version} if version else {}),
        "purl": purl,
    }
