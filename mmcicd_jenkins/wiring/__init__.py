"""The only place that picks adapters and turns a configuration into their arguments.

`open_bench` gives everything that a command needs. Adapters are imported when a bench is opened, their heavy
libraries only when they are used.
"""

import getpass
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.config.defaults import SERVE, STORE, beside
from mmcicd_jenkins.config.laptop import on_this_machine
from mmcicd_jenkins.config.load import load
from mmcicd_jenkins.config.lock import Lock, load_lock
from mmcicd_jenkins.config.model import Config, Environment, Model
from mmcicd_jenkins.errors import OutsideFailed, Problem, UsageError
from mmcicd_jenkins.ports import DataSources, Progress, Target
from mmcicd_jenkins.ports.images import BaseImages
from mmcicd_jenkins.ports.ledger import Ledger
from mmcicd_jenkins.ports.offline import OfflineTarget
from mmcicd_jenkins.ports.store import Store
from mmcicd_jenkins.ports.trial import Trial
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.dsse import Authority
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.workspace import Workspace
from mmcicd_jenkins.stages.zones import Zone, zone_of
from mmcicd_jenkins.wiring.docker import DockerSite
from mmcicd_jenkins.wiring.images import open_bases
from mmcicd_jenkins.wiring.kubernetes import Clusters
from mmcicd_jenkins.wiring.ledger import authority_of, beside_path, open_ledger
from mmcicd_jenkins.wiring.store import open_access, open_store
from mmcicd_jenkins.wiring.watching import Watching

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.registry.client import Access


class Silent:
    """`ports.Progress` that shows nothing, for the Python API."""

    def line(self, text: str) -> None:
        pass

    def update(self, text: str, done: float | None = None) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class Bench:
    """An opened repository: its configuration, its lock, and the adapters behind the ports."""

    config: Config
    lock: Lock
    progress: Progress
    variables: Mapping[str, str]
    warnings: tuple[Problem, ...] = ()
    # Environments that the file has in clusters, and that this machine's own stand for.
    replaced: tuple[str, ...] = ()
    # How long a call to a cluster may take for a command that only looks; 0 = its usual time.
    cluster_seconds: float = 0.0
    # How long a ledger may be waited for where there is a way without it; 0 = its usual time.
    ledger_seconds: float = 0.0

    @cached_property
    def workspace(self) -> Workspace:
        kept = self.variables.get("MMCICD_CHECKPOINTS", "")
        return Workspace(root=self.config.root / ".mmcicd", kept=Path(kept) if kept else None)

    @cached_property
    def actor(self) -> str:
        return who_am_i(self.variables)

    @cached_property
    def builder(self) -> str:
        """The build's address on Jenkins, else who sits at the laptop."""
        return self.variables.get("BUILD_URL") or self.actor

    @cached_property
    def ledger(self) -> Ledger:
        return open_ledger(self.config, self.variables, self.progress.line, seconds=self.ledger_seconds)

    @cached_property
    def authority(self) -> Authority:
        """Whose signatures count in this ledger, and this machine's own."""
        return authority_of(self.config, self.variables)

    @cached_property
    def store(self) -> Store:
        cache = cache_folder(self.variables)
        return open_store(self.config, self.zone, lambda: self.access, cache, self.store_folder)

    @cached_property
    def access(self) -> "Access":
        return open_access(self.config, self.variables)

    @property
    def zone(self) -> Zone:
        """On which side this process runs."""
        return zone_of(self.variables, self.config.jenkins.main if self.config.jenkins else "main")

    @cached_property
    def bases(self) -> BaseImages:
        cache = cache_folder(self.variables)
        return open_bases(self.config.root, cache, lambda: self.access, self.docker.engine)

    def store_folder(self) -> Path:
        root, path = self.config.root, self.config.store.path
        if path != beside(root, STORE):
            return root / path
        from mmcicd_jenkins.adapters.own_places import settled

        return settled(beside_path(root, STORE), self.workspace.root / "store", self.progress.line)

    def serving(self, environment: str) -> Path:
        """Where the server of a local environment has its state: beside the checkout, for it must outlive a clean one."""
        from mmcicd_jenkins.adapters.own_places import settled_server

        folder = (
            self.config.environments[environment].folder if environment in self.config.environments else ""
        )
        if folder:
            return self.config.root / folder
        place = beside_path(self.config.root, SERVE) / environment
        return settled_server(place, self.workspace.root / "serve" / environment, self.progress.line)

    @cached_property
    def ports(self) -> Ports:
        from mmcicd_jenkins.wiring.adapters import Adapters

        return Adapters(self)

    def target(self, environment: Environment) -> Target:
        """What stands behind an environment."""
        if environment.kind != "local":
            return self.clusters.target(environment)
        from mmcicd_jenkins.adapters.local.target import LocalTarget

        return LocalTarget(environment, self.serving(environment.name), self.store)

    def offline(self, environment: Environment) -> OfflineTarget:
        """What stands behind an environment, by what it knows itself."""
        if environment.kind != "local":
            return self.clusters.offline(environment)
        from mmcicd_jenkins.adapters.local.offline import OfflineLocalTarget

        return OfflineLocalTarget(environment, self.serving(environment.name))

    @cached_property
    def docker(self) -> DockerSite:
        return DockerSite(
            variables=self.variables,
            progress=self.progress,
            store=lambda: self.store,
            registry=self.config.store.registry,
        )

    @cached_property
    def watching(self) -> Watching:
        return Watching(
            variables=self.variables,
            folder=self.workspace.root / "monitor",
            clock=SystemClock(),
            client=lambda: self.ports.client,
            target=self.target,
            api=self.clusters.api,
        )

    @cached_property
    def clusters(self) -> Clusters:
        return Clusters(
            config=self.config,
            variables=self.variables,
            progress=self.progress,
            authority=lambda: self.authority,
            seconds=self.cluster_seconds,
        )

    def throwaway(self, folder: Path, *, runnable: bool) -> Trial:
        """A server of its own for one look at an image, for `verify`."""
        return self.docker.trial(folder, runnable=runnable)

    def model(self, name: str | None) -> Model:
        """The model of that name, or the only one.

        Raises:
            UsageError: unknown, or left out where there are several.
        """
        models = self.config.models
        if name is None and len(models) == 1:
            return next(iter(models.values()))
        if name is not None and name in models:
            return models[name]
        what = "which model?" if name is None else f"there is no model {name!r}"
        raise UsageError(what, where=self.config.file, fix="--model " + " or --model ".join(models))

    def place(self, name: str | None) -> Environment:
        """The environment of that name, production when left out.

        Raises:
            UsageError: unknown.
        """
        places = self.config.environments
        if name is None:
            return self.config.production
        if name not in places:
            raise UsageError(
                f"there is no environment {name!r}",
                where=self.config.file,
                fix="--env " + " or --env ".join(places),
            )
        return places[name]

    def job(
        self,
        model: str | None,
        *,
        environment: str | None = None,
        version: int | None = None,
        reason: str = "",
        again: bool = False,
    ) -> Job:
        return Job(
            config=self.config,
            lock=self.lock,
            model=self.model(model),
            workspace=self.workspace,
            actor=self.actor,
            builder=self.builder,
            zone=self.zone,
            requesters=tuple(filter(None, self.variables.get("MMCICD_REQUESTERS", "").split(","))),
            environment=self.place(environment).name if environment else "",
            version=version,
            reason=reason,
            again=again,
            in_cluster=bool(self.variables.get("MMCICD_TRAINING_JOB")),
            worker=_number(self.variables.get("MMCICD_WORKER", "")),
        )


def open_bench(
    start: Path,
    progress: Progress | None = None,
    variables: Mapping[str, str] | None = None,
    *,
    shared: bool = False,
) -> Bench:
    """Load `mmcicd.yaml` of `start` or a folder above it, with its lock.

    Args:
        shared: work on the ledger, store and environments that the file names; without it everything shared is
            replaced by what this machine has of its own.

    Raises:
        ConfigInvalid: every mistake of the file.
        InputError: there is none, or the lock cannot be read.
    """
    variables = os.environ if variables is None else variables
    loaded = load(start, environ=variables)
    config = loaded.config if shared else on_this_machine(loaded.config)
    places = loaded.config.environments.values()
    return Bench(
        config=config,
        replaced=() if shared else tuple(place.name for place in places if place.kind != "local"),
        lock=load_lock(config.root),
        progress=progress or Silent(),
        variables=variables,
        warnings=loaded.warnings,
    )


def open_sources(variables: Mapping[str, str]) -> DataSources:
    """Data sources alone, for commands that work before there is a configuration."""
    from mmcicd_jenkins.adapters.credentials import login
    from mmcicd_jenkins.adapters.data.sources import FsspecSources

    return FsspecSources(cache_folder(variables) / "data", login=login("data", variables))


def cache_folder(variables: Mapping[str, str]) -> Path:
    """`$XDG_CACHE_HOME/mmcicd`, or `~/.cache/mmcicd`."""
    base = variables.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "mmcicd"
    except RuntimeError as e:
        raise OutsideFailed(
            "there is no home folder for a cache", why=str(e), fix="set XDG_CACHE_HOME"
        ) from e


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0


def who_am_i(variables: Mapping[str, str]) -> str:
    """Who acts: what Jenkins says of a person, else the build, else the user of this machine."""
    named = variables.get("MMCICD_ACTOR") or variables.get("BUILD_USER_ID")
    if named:
        return named
    if variables.get("JOB_NAME") and variables.get("BUILD_NUMBER"):
        return f"{variables['JOB_NAME']} #{variables['BUILD_NUMBER']}"
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"
