"""`ports.watching.MonitorMemory` as a ConfigMap of its own for each model: `<model>-monitor`.

The law: nothing else is kept there; a write names the `uid` and `resourceVersion` that were read, so that of two
monitors at once one wins. `said` and `at` are for people who look with kubectl; the rest is packed, for an object may
hold one MiB and shares etcd with everybody.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from mmcicd_jenkins.adapters.kubernetes.errors import Conflict
from mmcicd_jenkins.errors import InputError, OutsideFailed, Superseded
from mmcicd_jenkins.ports import Clock
from mmcicd_jenkins.ports.watching import Kept
from mmcicd_jenkins.release.packed import pack, unpack
from mmcicd_jenkins.release.tracks import MANAGED_LABEL, MANAGER, labels_of
from mmcicd_jenkins.render.rights import MEMORY

LARGEST = 512 * 1024
# Ten times what a memory of six hundred readings takes; more is no memory of ours.
_LARGEST_UNPACKED = 16 * 2**20
_LONGEST_WORDS = 1000
_FIELD = "memory.json.zlib"


class Objects(Protocol):
    """What is needed of a cluster."""

    def get(self, kind: str, name: str) -> dict[str, Any] | None: ...

    def create(self, document: Mapping[str, Any]) -> dict[str, Any]: ...

    def patch(
        self, kind: str, name: str, body: Mapping[str, Any], *, uid: str, resource_version: str
    ) -> dict[str, Any]: ...


class ConfigMapMemory:
    """The ConfigMaps of one namespace."""

    def __init__(self, api: Objects, environment: str, clock: Clock) -> None:
        self._api = api
        self._environment = environment
        self._clock = clock

    def read(self, model: str) -> Kept:
        """One that cannot be read is forgotten: the monitor starts to watch anew."""
        found = self._api.get("ConfigMap", MEMORY.format(model=model))
        if found is None:
            return Kept()
        metadata = found["metadata"]
        if (metadata.get("labels") or {}).get(MANAGED_LABEL) != MANAGER:
            raise InputError(
                f"ConfigMap {metadata['name']} belongs to somebody else",
                where=f"ConfigMap/{metadata['name']}",
                why=f"it has no label {MANAGED_LABEL}: {MANAGER}",
                fix="give it another name, or delete it; a monitor needs this one for itself",
            )
        packed = (found.get("binaryData") or {}).get(_FIELD, "")
        revision = f"{metadata['uid']}/{metadata['resourceVersion']}"
        return Kept(document=_unpacked(packed), revision=revision)

    def write(self, model: str, document: Mapping[str, object], revision: str, said: str) -> None:
        name = MEMORY.format(model=model)
        content = self._content(name, document, said)
        try:
            if revision:
                uid, _, resource_version = revision.partition("/")
                self._api.patch("ConfigMap", name, content, uid=uid, resource_version=resource_version)
            else:
                self._api.create(self._new(name, model) | content)
        except Conflict as e:
            raise Superseded(
                "another monitor looked meanwhile; what it found stands", where=f"ConfigMap/{name}", why=e.why
            ) from e

    def _new(self, name: str, model: str) -> dict[str, Any]:
        labels = labels_of(model, self._environment)
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}

    def _content(self, name: str, document: Mapping[str, object], said: str) -> dict[str, Any]:
        packed = pack(json.dumps(document, separators=(",", ":")).encode())
        if len(packed) > LARGEST:
            raise OutsideFailed(
                "what the monitor remembers has grown too large",
                where=f"ConfigMap/{name}",
                why=f"{len(packed):,} bytes, {LARGEST:,} are kept",
                fix="shorter monitor.windows, or a larger monitor.every",
            )
        at = self._clock.now().isoformat(timespec="seconds")
        return {"data": {"at": at, "said": said[:_LONGEST_WORDS]}, "binaryData": {_FIELD: packed}}


def _unpacked(packed: str) -> Mapping[str, object] | None:
    try:
        document = unpack(packed, _LARGEST_UNPACKED)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
