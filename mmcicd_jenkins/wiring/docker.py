"""The part of `wiring` that drives a Docker engine: what `verify`, builds and trainings in an image run on.

An engine is asked for only where the configuration can use one; whether it answers decides, and is told.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmcicd_jenkins.adapters.embedded_trial import EmbeddedTrial
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.ports import Commands, Progress
from mmcicd_jenkins.ports.builder import Builder
from mmcicd_jenkins.ports.store import Store
from mmcicd_jenkins.ports.trial import Trial
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.commands import ShellCommands
    from mmcicd_jenkins.adapters.docker.engine import DockerEngine
    from mmcicd_jenkins.adapters.docker.images import EngineImages


@dataclass(frozen=True, kw_only=True)
class DockerSite:
    """What an engine needs of a repository. `registry` is `store.registry`, "" without one."""

    variables: Mapping[str, str]
    progress: Progress
    store: Callable[[], Store]
    registry: str = ""

    def trial(self, folder: Path, *, runnable: bool) -> Trial:
        """A container of the image where one can be made, else the embedded server on its layers; it says why."""
        if not runnable:
            return self._embedded(folder, "the image has no base")
        try:
            engine = self.engine()
        except MmcicdError as e:
            return self._embedded(folder, e.what)
        from mmcicd_jenkins.adapters.docker.target import DockerTrial

        return DockerTrial(engine, self.images(engine), folder, self.progress)

    def engine(self) -> "DockerEngine":
        """Raises `OutsideFailed` when none answers."""
        from mmcicd_jenkins.adapters.docker.engine import DockerEngine

        return DockerEngine.open(self.variables)

    def images(self, engine: "DockerEngine") -> "EngineImages":
        from mmcicd_jenkins.adapters.docker.images import EngineImages

        return EngineImages(engine, self.store(), self.login)

    def commands(self, direct: "ShellCommands", root: Path) -> Commands:
        """Commands in the image that their variables name, else on this machine."""
        from mmcicd_jenkins.adapters.docker.commands import ImageCommands

        return ImageCommands(direct, self.engine, root, self.login)

    def builder(self, scratch: Path) -> Builder:
        """Builds by a team's own Dockerfile."""
        from mmcicd_jenkins.adapters.docker.builder import DockerBuilder

        return DockerBuilder(self.engine, self.store(), scratch, self.progress, self.login)

    def login(self, image: str) -> Mapping[str, str] | None:
        """What the engine logs in with to have an image; None = what Docker's own configuration has.

        Our own credential is for our own registry, and shown to no other.
        """
        from mmcicd_jenkins.adapters.credentials import login

        known = login("registry", self.variables)
        own = self.registry.partition("/")[0]
        if not known.user or not own or image.partition("/")[0] != own:
            return None
        return {"username": known.user, "password": known.password}

    def _embedded(self, folder: Path, why: str) -> Trial:
        from mmcicd_jenkins.adapters.local.target import LocalTarget

        place = Environment(name="verify", kind="local", rest_port=0, grpc_port=0)
        return EmbeddedTrial(LocalTarget(place, folder, self.store()), folder, why)
