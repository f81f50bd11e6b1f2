"""What stages see of the outside world, from an opened repository: adapters, each imported when a stage first asks for it."""

from functools import cached_property
from typing import TYPE_CHECKING

from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.ports import (
    Checkout,
    Commands,
    DataSources,
    Environments,
    Evaluator,
    ModelClient,
    Reports,
    SavedModels,
)
from mmcicd_jenkins.ports.builder import Builder
from mmcicd_jenkins.ports.images import BaseImages
from mmcicd_jenkins.ports.ledger import Ledger
from mmcicd_jenkins.ports.store import Store
from mmcicd_jenkins.release.dsse import Authority
from mmcicd_jenkins.wiring import cache_folder, open_sources

if TYPE_CHECKING:
    from mmcicd_jenkins.wiring import Bench


class Adapters:
    """`stages.context.Ports`. An adapter is imported when a stage first asks for it: most stages need a few."""

    def __init__(self, bench: "Bench") -> None:
        self._bench = bench
        self._cache = cache_folder(bench.variables)
        self.clock = SystemClock()
        self.progress = bench.progress
        self.target = bench.target
        self.offline = bench.offline
        self.throwaway = bench.throwaway
        self.canary = bench.clusters.canary
        self.preview = bench.clusters.preview
        self.trainings = bench.clusters.trainings
        self.live = bench.clusters.live
        self.counters = bench.watching.counters
        self.history = bench.watching.history
        self.monitor_memory = bench.watching.memory

    @property
    def authority(self) -> Authority:
        return self._bench.authority

    @cached_property
    def checkout(self) -> Checkout:
        from mmcicd_jenkins.adapters.git.checkout import GitCheckout

        return GitCheckout(self._bench.config.root, self._bench.variables.get("BRANCH_NAME", ""))

    @cached_property
    def ledger(self) -> Ledger:
        return self._bench.ledger

    @cached_property
    def store(self) -> Store:
        return self._bench.store

    @cached_property
    def bases(self) -> BaseImages:
        return self._bench.bases

    @cached_property
    def commands(self) -> Commands:
        from mmcicd_jenkins.adapters.commands import ShellCommands

        direct = ShellCommands()
        config = self._bench.config
        if not any(model.train.image for model in config.models.values()):
            return direct
        return self._bench.docker.commands(direct, config.root)

    @cached_property
    def builder(self) -> Builder:
        return self._bench.docker.builder(self._bench.workspace.root / "build")

    @cached_property
    def environments(self) -> Environments:
        from mmcicd_jenkins.adapters.environments.virtual import VirtualEnvironments

        return VirtualEnvironments(self._cache / "environments", self.commands)

    @cached_property
    def sources(self) -> DataSources:
        return open_sources(self._bench.variables)

    @cached_property
    def saved_models(self) -> SavedModels:
        from mmcicd_jenkins.adapters.models.saved_model import SavedModelFiles

        return SavedModelFiles()

    @cached_property
    def evaluator(self) -> Evaluator:
        from mmcicd_jenkins.adapters.evaluator import TensorflowEvaluator
        from mmcicd_jenkins.reports.measuring import measure

        return TensorflowEvaluator(self.commands, measure)

    @cached_property
    def reports(self) -> Reports:
        from mmcicd_jenkins.reports.writing import ReportFiles

        return ReportFiles()

    @cached_property
    def client(self) -> ModelClient:
        from mmcicd_jenkins.adapters.models.caller import caller_from
        from mmcicd_jenkins.adapters.models.client import HttpModelClient

        return HttpModelClient(caller=caller_from(self._bench.variables))
