"""Wiring of `doctor`: every check that a configuration asks for, on adapters with an end in time.

Apart from `wiring` because only this command looks at everything at once.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mmcicd_jenkins.adapters.machine_look import Machine
from mmcicd_jenkins.checks import models
from mmcicd_jenkins.checks.finding import Told
from mmcicd_jenkins.config.defaults import SERVE
from mmcicd_jenkins.config.laptop import on_this_machine
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.lock import load_lock
from mmcicd_jenkins.config.model import Config, Environment, Model
from mmcicd_jenkins.errors import ConfigInvalid, InputError
from mmcicd_jenkins.ports.doctor import ClusterLook, RegistryLook, RegistryRight
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.stages.doctor import Check
from mmcicd_jenkins.stages.zones import zone_of
from mmcicd_jenkins.wiring import cache_folder
from mmcicd_jenkins.wiring.ledger import beside_path, ledger_address
from mmcicd_jenkins.wiring.store import open_access

if TYPE_CHECKING:
    from mmcicd_jenkins.stages.doctor_here import Here


@dataclass(frozen=True, kw_only=True)
class Generated:
    """The generated files of a repository: all of them, and those that are out of date."""

    paths: Callable[[], Iterable[str]]
    stale: Callable[[], Iterable[str]]


def open_checks(
    start: Path, variables: Mapping[str, str], generated: Generated, *, model: str, seconds: float
) -> tuple[Check, ...]:
    """Everything about the repository at `start`, and about its Jenkins if it has one.

    Raises:
        ConfigInvalid, InputError: there is nothing to check against.
    """
    config = load_config(start, environ=variables)
    clusters = _clusters(config, variables, seconds)
    if config.jenkins is None:
        return (*_here(_on_a_laptop(config), variables, generated, model, seconds), *clusters)
    here = _here(config, variables, generated, model, seconds)
    return (*_jenkins(config, variables, model, seconds), *here, *clusters)


def open_machine(start: Path, variables: Mapping[str, str], *, seconds: float) -> tuple[Check, ...]:
    """This machine as an agent, with or without a configuration.

    Raises:
        ConfigInvalid: the one that is there has mistakes.
    """
    from mmcicd_jenkins.stages.doctor_here import agent_checks, machine_checks

    try:
        config = load_config(start, environ=variables)
    except ConfigInvalid:
        raise
    except InputError:  # an agent has no checkout before its first build
        return machine_checks(Machine(variables, seconds), None, cache_folder(variables), here=True)
    config = config if config.jenkins else _on_a_laptop(config)
    nothing = Generated(paths=tuple, stale=tuple)
    return agent_checks(_facts(config, variables, nothing, "", seconds))


def _on_a_laptop(config: Config) -> Config:
    """What a laptop has of its own, and the registry and images that the file names: `--shared` needs those."""
    own = on_this_machine(config)
    image = config.image if config.store.registry else own.image
    return dataclasses.replace(own, store=config.store, image=image)


def _jenkins(config: Config, variables: Mapping[str, str], model: str, seconds: float) -> tuple[Check, ...]:
    from mmcicd_jenkins.adapters.jenkins.account import account_of
    from mmcicd_jenkins.adapters.jenkins.items import Items
    from mmcicd_jenkins.adapters.jenkins.look import Look
    from mmcicd_jenkins.adapters.jenkins.rights import Rights
    from mmcicd_jenkins.adapters.jenkins.server import Server
    from mmcicd_jenkins.render.jobs import settings_of
    from mmcicd_jenkins.stages.doctor_jenkins import Jenkins, checks

    try:
        account = account_of(settings_of(config).url, variables, config.mark("jenkins.url"))
    except InputError as e:
        error = e
        return (
            Check(topic="jenkins", name="account", look=lambda: [Told("jenkins", "account").error(error)]),
        )
    # A check that hangs is told about by its end; retrying would only hide which one it was.
    server = Server(account, timeout=(min(5.0, seconds), seconds), tries=0)
    return checks(
        Jenkins(
            config=config,
            look=Look(server),
            rights=Rights(server),
            items=Items(server),
            model=model,
        )
    )


def _here(
    config: Config, variables: Mapping[str, str], generated: Generated, model: str, seconds: float
) -> tuple[Check, ...]:
    from mmcicd_jenkins.stages.doctor_here import checks

    return checks(_facts(config, variables, generated, model, seconds))


def _facts(
    config: Config, variables: Mapping[str, str], generated: Generated, model: str, seconds: float
) -> "Here":
    from mmcicd_jenkins.adapters.credentials import OURS
    from mmcicd_jenkins.adapters.git.look import RepositoryLook
    from mmcicd_jenkins.adapters.web_look import Web
    from mmcicd_jenkins.stages.doctor_here import Here

    root = config.root

    def serving(name: str) -> Path:
        folder = config.environments[name].folder
        return root / folder if folder else beside_path(root, SERVE) / name

    return Here(
        config=config,
        lock=lambda: load_lock(root),
        machine=Machine(variables, seconds),
        web=Web(variables, seconds),
        registry=_Registry(config, variables, seconds),
        source=RepositoryLook(root, variables, "source", seconds),
        ledger=RepositoryLook(root, variables, "ledger", seconds),
        ledger_url=ledger_address(config),
        store=root / config.store.path,
        zone=zone_of(variables, config.jenkins.main if config.jenkins else "main"),
        cache=cache_folder(variables),
        serving=serving,
        requirements=lambda one: _required(root, one),
        stale=generated.stale,
        paths=generated.paths,
        writes_ledger=any(name.startswith("MMCICD_LEDGER_") for name in OURS if variables.get(name)),
        model=model,
    )


class _Registry:
    """`ports.doctor.RegistryLook`, opened when it is asked: a wrong setting of it is a finding like others."""

    def __init__(self, config: Config, variables: Mapping[str, str], seconds: float) -> None:
        self._config = config
        self._variables = variables
        self._seconds = seconds

    @cached_property
    def _look(self) -> RegistryLook:
        from mmcicd_jenkins.adapters.registry.look import Look
        from mmcicd_jenkins.adapters.registry.tries import Deadlines, Patience

        # A look that hangs is told about by its end; asking again would only hide it.
        deadlines = Deadlines(connect=min(5.0, self._seconds), stall=self._seconds)
        access = open_access(self._config, self._variables, deadlines=deadlines, patience=Patience(tries=1))
        return Look(self._config.store.registry, access)

    def reach(self) -> str:
        return self._look.reach()

    def may(self, repository: str, right: RegistryRight) -> str:
        return self._look.may(repository, right)


def _clusters(config: Config, variables: Mapping[str, str], seconds: float) -> tuple[Check, ...]:
    from mmcicd_jenkins.stages.doctor_cluster import Clusters, checks

    def look(place: Environment, key: str) -> ClusterLook:
        from mmcicd_jenkins.adapters.kubernetes.connection import connect
        from mmcicd_jenkins.adapters.kubernetes.look import Look
        from mmcicd_jenkins.adapters.kubernetes.tries import Patience

        connection = connect(place, variables, config.mark(key))
        # As with Jenkins: what hangs is told about by its end.
        patience = Patience(budget=seconds, tries=1, connect=min(5.0, seconds), stall=seconds)
        return Look(connection, place.namespace, patience)

    return tuple(checks(Clusters(config=config, open=look)))


def _required(root: Path, model: Model) -> models.Required | None:
    if not model.train.requirements:
        return None
    from mmcicd_jenkins.adapters.environments.requirements import read_requirements

    wanted = read_requirements(root / model.train.requirements)
    lines = [line for name in models.TENSORFLOW if (line := wanted.line_of(name)) is not None]
    return models.Required(
        file=model.train.requirements,
        line=lines[0].text.split(";")[0].strip() if lines else "",
        where=lines[0].where if lines else "",
    )
