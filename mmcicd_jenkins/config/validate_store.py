"""What must hold of `store`: the name of a registry, and settings that need one."""

from pathlib import Path

from mmcicd_jenkins.config.findings import Findings
from mmcicd_jenkins.config.marks import KeyPath
from mmcicd_jenkins.config.places import is_file, is_url
from mmcicd_jenkins.config.schema import FileSection
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.reference import DOCKER_HUB, parse_reference

_AT: KeyPath = ("store",)
# Smaller pieces take more time to ask for than to send; larger ones are kept in memory.
_LEAST_CHUNK, _MOST_CHUNK = 2**20, 64 * 2**20


def check_store(file: FileSection, findings: Findings, root: Path) -> None:
    store = file.store
    if store.registry:
        _check_registry(store.registry, findings)
    else:
        given = {"ca": store.ca, "insecure": store.insecure, "upload_chunk": store.upload_chunk}
        for name in [name for name, value in given.items() if value]:
            findings.warn((*_AT, name), "there is no registry", "add store.registry, or delete this line")
    if store.registry and store.ca and not is_file(root / store.ca):
        # A warning: agents may have the file where this machine has none.
        findings.warn(
            (*_AT, "ca"), f"there is no file {store.ca} here", "put the authority's certificate there"
        )
    if store.registry and store.insecure:
        what = "passwords and models go to the registry without protection"
        findings.warn((*_AT, "insecure"), what, "store.ca with the file of the registry's authority")
    if store.upload_chunk is not None and not _LEAST_CHUNK <= store.upload_chunk <= _MOST_CHUNK:
        findings.add((*_AT, "upload_chunk"), "pieces of this size are not sent", "write 1Mi to 64Mi")


def _check_registry(text: str, findings: Findings) -> None:
    at = (*_AT, "registry")
    if is_url(text):
        fix = f"write `registry: {text.partition('://')[2]}`"
        findings.add(at, "a registry is a host and a path, without https://", fix)
        return
    try:
        place = parse_reference(f"{text}/x")
    except InputError as e:
        findings.add(at, f"{text[:60]!r} is not the place of a registry", e.why)
        return
    host = text.partition("/")[0]
    if place.registry == DOCKER_HUB and host != DOCKER_HUB:
        fix = f"write HOST/{text}, or {DOCKER_HUB}/{text} for Docker Hub"
        findings.add(at, f"{host[:60]!r} is not the host of a registry: it has no dot and no port", fix)
