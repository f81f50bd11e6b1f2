"""Every write to a cluster: only what is ours, only under our fence, only the object that was read.

An object that stands is changed with its `uid` and `resourceVersion`; when it changed meanwhile it is read and decided
on anew. One that is not there is made by a creation that must find none. What was deleted while it was written is not
made again: whoever deleted it may have had the newer word.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes import annotations, ownership
from mmcicd_jenkins.adapters.kubernetes.annotations import Document, Fence
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.errors import AlreadyExists, Conflict
from mmcicd_jenkins.errors import OutsideFailed, Superseded
from mmcicd_jenkins.failpoints import failpoint

# An object that controllers write to changes a few times a second; nobody changes one for so long.
DEADLINE_SECONDS = 30.0
_PAUSE_SECONDS = 0.05

Shape = Callable[[Mapping[str, Any] | None], Mapping[str, Any]]


def write(api: Api, document: Document, epoch: int, op_id: str) -> dict[str, Any]:
    """Have this document under this fence."""
    return Fenced(api, Fence(epoch=epoch, op_id=op_id)).write(document)


class Fenced:
    """The writes of one order.

    Every method raises:
        Superseded: the object carries a newer decision; nothing was changed.
        OutsideFailed: it is not ours, was deleted meanwhile, changes all the time, or the cluster does not answer.
    """

    def __init__(self, api: Api, fence: Fence, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._api = api
        self._fence = fence
        self._deadline = deadline_seconds

    def write(self, document: Document, shape: Shape | None = None, *, create: bool = True) -> dict[str, Any]:
        """Have the object as `document` says; with `shape`, as it says for the object that stands (None: none)."""
        kind, name = document["kind"], document["metadata"]["name"]
        may_create = create
        for live in self._reads(kind, name):
            wanted = annotations.fenced(shape(live) if shape else document, self._fence)
            if live is None:
                if not may_create:
                    raise _gone(document)
                made = self._created(wanted)
                if made is not None:
                    return made
            else:
                applied = self._applied(wanted, live)
                if applied is not None:
                    return applied
            may_create = False
        raise self._restless(document)

    def bring(self, document: Document, still_ours: Callable[[], None]) -> dict[str, Any]:
        """As `write`, for a Deployment that newer orders remove: it is born without copies, and gets them only when
        `still_ours` does not raise afterwards. So whoever removed it meanwhile has removed it for good.
        """
        kind, name = document["kind"], document["metadata"]["name"]
        if self._api.get(kind, name) is None:
            self.write({**document, "spec": {**document["spec"], "replicas": 0}})
            try:
                still_ours()
            except Superseded:
                with contextlib.suppress(Superseded):  # the newer decision may have one of its own there
                    self.remove(kind, name)
                raise
        return self.write(document, create=False)

    def change(
        self, kind: str, name: str, decide: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
    ) -> Any:
        """Merge what `decide` answers for the object that stands into it; None from it changes nothing but the fence.

        Returns the object, None when it is not there.
        """
        for live in self._reads(kind, name):
            if live is None:
                return None
            body = decide(live) or {}
            if annotations.fence_of(live) == self._fence and not body:
                return live
            done = self._patched(live, _with_fence(body, self._fence, ownership.folded(live)))
            if done is not None:
                return done
        raise self._restless({"kind": kind, "metadata": {"name": name}})

    def claim(self, kind: str, name: str) -> dict[str, Any] | None:
        """Put our fence on the object before anything else changes; what it says now. None: it is not there."""
        claimed: dict[str, Any] | None = self.change(kind, name, lambda _: None)
        return claimed

    def remove(self, kind: str, name: str) -> bool:
        """Delete the object; False when it was not there."""
        for live in self._reads(kind, name):
            if live is None:
                return False
            if self._deleted(live):
                return True
        raise self._restless({"kind": kind, "metadata": {"name": name}})

    def require(self, live: Document) -> None:
        """Raises `Superseded` when a newer decision stands on the object."""
        standing = annotations.fence_of(live)
        if not standing.admits(self._fence):
            raise superseded(live, standing, self._fence)

    def _reads(self, kind: str, name: str) -> Iterator[dict[str, Any] | None]:
        """The object as it stands, again and again until the deadline; checked to be ours and not beyond us."""
        end = time.monotonic() + self._deadline
        while True:
            live = self._api.get(kind, name)
            if live is not None:
                annotations.refuse_foreign(live)
                self.require(live)
            yield live
            if time.monotonic() > end:
                return
            time.sleep(_PAUSE_SECONDS)

    def _created(self, document: Document) -> dict[str, Any] | None:
        failpoint("kubernetes.before-create")
        try:
            made = self._api.create(document)
        except AlreadyExists:
            return None
        failpoint("kubernetes.after-create")
        return self._owned(made)

    def _applied(self, document: Document, live: dict[str, Any]) -> dict[str, Any] | None:
        live = self._owned(live)
        failpoint("kubernetes.before-apply")
        try:
            metadata = live["metadata"]
            applied = self._api.apply(
                document, uid=metadata["uid"], resource_version=metadata["resourceVersion"]
            )
        except Conflict:
            return None
        failpoint("kubernetes.after-apply")
        return applied

    def _patched(self, live: Document, body: Mapping[str, Any]) -> dict[str, Any] | None:
        failpoint("kubernetes.before-patch")
        try:
            done = self._api.patch(live["kind"], live["metadata"]["name"], body, **_precondition(live))
        except Conflict:
            return None
        failpoint("kubernetes.after-patch")
        return done

    def _deleted(self, live: Document) -> bool:
        failpoint("kubernetes.before-delete")
        try:
            done = self._api.delete(live["kind"], live["metadata"]["name"], **_precondition(live))
        except Conflict:
            return False
        failpoint("kubernetes.after-delete")
        return done

    def _owned(self, live: dict[str, Any]) -> dict[str, Any]:
        """The object once all that we wrote is noted as applied. Who loses a race over it tries with the next write."""
        owners = ownership.folded(live)
        if owners is None:
            return live
        try:
            body = {"metadata": {"managedFields": owners}}
            return self._api.patch(live["kind"], live["metadata"]["name"], body, **_precondition(live))
        except Conflict:
            return live

    def _restless(self, document: Document) -> OutsideFailed:
        name = annotations.resource(document)
        return OutsideFailed(
            f"{name} changes all the time",
            where=name,
            why=f"no write of ours came through within {self._deadline:.0f} s",
            fix=f"kubectl get {name} --show-managed-fields -o yaml tells who writes to it",
            retryable=True,
        )


def superseded(live: Document, standing: Fence, order: Fence) -> Superseded:
    """The error for an object that carries a newer decision than ours."""
    same = standing.epoch == order.epoch
    return Superseded(
        "a newer decision stands in the cluster; nothing was changed",
        where=annotations.resource(live),
        why=f"another operation has epoch {standing.epoch}, too"
        if same
        else f"epoch {standing.epoch} stands, this order has {order.epoch}",
        fix="mmcicd-jenkins status. When the cluster went on without the ledger: mmcicd-jenkins reconcile",
    )


def _precondition(live: Document) -> dict[str, str]:
    metadata = live["metadata"]
    return {"uid": metadata["uid"], "resource_version": metadata["resourceVersion"]}


def _with_fence(body: Mapping[str, Any], fence: Fence, owners: list[dict[str, Any]] | None) -> dict[str, Any]:
    metadata = {**body.get("metadata", {}), **({"managedFields": owners} if owners else {})}
    noted = {
        **metadata.get("annotations", {}),
        annotations.EPOCH: str(fence.epoch),
        annotations.OP_ID: fence.op_id,
    }
    return {**body, "metadata": {**metadata, "annotations": noted}}


def _gone(document: Document) -> OutsideFailed:
    name = annotations.resource(document)
    return OutsideFailed(
        f"{name} was deleted while it was changed",
        where=name,
        why="whoever deleted it may have had a newer word, so it is not made again",
        fix="mmcicd-jenkins status; the same command again makes it anew when nothing newer stands",
    )
