"""The images of a ledger's releases beside what the ledger says of them, for `ledger verify --images`."""

from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.ports.ledger import Ledger
from mmcicd_jenkins.ports.store import Store
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.dsse import Authority
from mmcicd_jenkins.stages.proving import audit


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was found of one model. `breaks` are sentences by version; `stated` versions have signed statements."""

    model: str
    versions: tuple[int, ...]
    stated: tuple[int, ...]
    collected: tuple[int, ...]
    breaks: Mapping[int, tuple[str, ...]]

    def lines(self) -> list[str]:
        """One sentence for the model, and below it each break."""
        broken = [
            f"  {self.model}@{version}: {told}"
            for version, all_told in self.breaks.items()
            for told in all_told
        ]
        return [self._line(), *broken]

    def _line(self) -> str:
        more = [f"{len(self.stated)} with statements"] if self.stated else []
        more += [f"{len(self.collected)} collected by gc"] if self.collected else []
        told = f"{self.model}: {report.counted(len(self.versions), 'image')} looked at"
        told += f" ({', '.join(more)})" if more else ""
        return told + (f", BROKEN: {', '.join(map(str, self.breaks))}" if self.breaks else ", all hold")

    def to_json(self) -> dict[str, Any]:
        return {
            "looked_at": list(self.versions),
            "stated": list(self.stated),
            "collected": list(self.collected),
            "breaks": {str(version): list(told) for version, told in self.breaks.items()},
        }

    def error(self) -> IntegrityFailed:
        version, told = next(iter(self.breaks.items()))
        others = sum(map(len, self.breaks.values())) - 1
        return IntegrityFailed(
            f"version {version} of {self.model} is not what was released"
            + (f" ({others} more breaks above)" if others else ""),
            where=f"{self.model}@{version}",
            why=told[0],
            fix="put the store back from a copy; until then the version cannot be switched to",
        )


def look(model: str, ledger: Ledger, store: Store, authority: Authority, *, deep: bool) -> Looked:
    """Every release of a model that gc did not remove, with all that belongs to its image."""
    snapshot = ledger.snapshot(model)
    versions, stated, gone, breaks = [], [], [], {}
    for version in range(1, snapshot.head.versions + 1):
        release = ledger.release(model, version)
        if release is None:
            continue
        # What gc gave up is gone, and not lost.
        if snapshot.is_collected(version):
            gone.append(version)
            continue
        versions.append(version)
        told = audit(release, store, authority, deep=deep)
        if told:
            breaks[version] = told
        if release.attestations:
            stated.append(version)
    return Looked(
        model=model,
        versions=tuple(versions),
        stated=tuple(stated),
        collected=tuple(gone),
        breaks=breaks,
    )
