"""The part of wiring that opens a store for whoever tidies it, and the places of this machine that can be made again.

Apart from `wiring`, because no other command has a reason to take something out of a store.
"""

from mmcicd_jenkins.adapters.leftovers import Leftovers, Shelf
from mmcicd_jenkins.config.model import Retention
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.ports.upkeep import StoreKeeper
from mmcicd_jenkins.stages.gc_needs import Rules
from mmcicd_jenkins.stages.zones import SHELVES
from mmcicd_jenkins.wiring import Bench, cache_folder

# Of the workspace; checkpoints are not among them, for a training may go on from them however late.
_WORKSPACE = {
    "runs": "report and log of a run",
    "models": "unpacked model",
    "evaluations": "files of an evaluation",
    "data": "divided data",
    "copies": "copy of data that was being made",
    "verify": "files of a verification",
}
_CACHE = {
    "environments": "Python environment",
    "data": "downloaded data",
    "images": "documents of a base image",
    "layers": "list of a layer",
    "cli": "installed version of mmcicd-jenkins",
}


def open_keeper(bench: Bench) -> StoreKeeper:
    """The store of a bench.

    Raises:
        UsageError: a build of a branch has no business there.
    """
    if bench.zone != "trusted":
        raise UsageError(
            "gc runs where releases are decided, not in the build of a branch",
            fix="run it in a job of the folder ops, or on a machine of those who operate",
        )
    settings = bench.config.store
    if not settings.registry:
        from mmcicd_jenkins.adapters.layout.keeper import LayoutKeeper

        return LayoutKeeper(bench.store_folder())
    from mmcicd_jenkins.adapters.registry.keeper import RegistryKeeper
    from mmcicd_jenkins.adapters.registry.repositories import Places

    places = Places(settings.registry, bench.access, SHELVES["trusted"], tuple(bench.config.models))
    names = [*SHELVES["trusted"], *bench.config.models]
    return RegistryKeeper({name: places.repository(name) for name in names})


def open_leftovers(bench: Bench) -> Leftovers:
    cache = cache_folder(bench.variables)
    return Leftovers(
        [Shelf(folder=bench.workspace.root / name, what=what) for name, what in _WORKSPACE.items()]
        + [Shelf(folder=cache / name, what=what) for name, what in _CACHE.items()]
    )


def rules_of(retention: Retention, keep: int | None, older_than: float | None) -> Rules:
    """The rules of the file, with those of the command line on top; `older_than` only ever spares more."""
    return Rules(
        releases=keep if keep is not None else retention.releases,
        runs=retention.runs,
        branches=retention.branches,
        minimum=max(retention.minimum, older_than or 0.0),
    )
