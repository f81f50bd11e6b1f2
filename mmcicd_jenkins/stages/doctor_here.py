"""What `doctor` asks of git, stores, environments, models and this machine, through ports alone. Writes nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from mmcicd_jenkins.checks import git, machine, models, places, registry
from mmcicd_jenkins.checks.finding import Finding, Told, Topic
from mmcicd_jenkins.config.laptop import is_address
from mmcicd_jenkins.config.lock import Lock
from mmcicd_jenkins.config.model import Config, Environment, Model
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.image.base_name import parse_base
from mmcicd_jenkins.ports.doctor import GitLook, MachineLook, RegistryLook, RegistryRight, WebLook
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.agents import DEFAULT_LABEL
from mmcicd_jenkins.render.job_sources import source_of
from mmcicd_jenkins.stages.doctor import Check
from mmcicd_jenkins.stages.pins import VERIFY_WITH, named_images
from mmcicd_jenkins.stages.zones import SHELVES, Zone


@dataclass(frozen=True, kw_only=True)
class Here:
    """What the checks below look at. `serving` gives the state folder of a local environment.

    `requirements` reads what a model installs, `stale` names generated files that are out of date, `paths` all of
    them; `writes_ledger` says that this process carries the ledger's own credentials.
    """

    config: Config
    lock: Callable[[], Lock]
    machine: MachineLook
    web: WebLook
    registry: RegistryLook
    source: GitLook
    ledger: GitLook
    ledger_url: str
    store: Path
    zone: Zone
    cache: Path
    serving: Callable[[str], Path]
    requirements: Callable[[Model], models.Required | None]
    stale: Callable[[], Iterable[str]]
    paths: Callable[[], Iterable[str]]
    writes_ledger: bool = False
    model: str = ""

    @property
    def chosen(self) -> tuple[Model, ...]:
        return tuple(m for m in self.config.models.values() if self.model in {"", m.name})


def checks(here: Here) -> tuple[Check, ...]:
    """Everything that `run`, or a first build of Jenkins, needs apart from the controller."""
    made = [_source(here), _ledger(here), _store(here), *_environments(here)]
    made += machine_checks(here.machine, here.config, here.cache, here=False)
    made.append(_check("models", "generated files", lambda: models.generated(here.stale())))
    made.append(_check("models", "images", lambda: models.images(_images(here))))
    for model in here.chosen:
        made += _model(here, model)
    return tuple(made)


def _images(here: Here) -> Iterator[models.NamedImage]:
    lock = here.lock()
    for name, keys in named_images(here.config).items():
        is_pinned = bool(parse_base(name).digest or lock.images.get(name))
        yield models.NamedImage(name=name, pinned=is_pinned, where=here.config.mark(keys[0]))


def agent_checks(here: Here) -> tuple[Check, ...]:
    """This machine as one that runs stages, with the places on it that the configuration names."""
    local = [place for place in here.config.environments.values() if place.kind == "local"]
    made = [*machine_checks(here.machine, here.config, here.cache, here=True)]
    made.append(_store(here) if here.config.store.registry else _folder("store", "store", here, here.store))
    if not is_address(here.config.ledger.url):
        made.append(_folder("git", "ledger", here, Path(here.ledger_url.removeprefix("file://"))))
    return (*made, *(_ports(here, place) for place in local))


def machine_checks(look: MachineLook, config: Config | None, cache: Path, *, here: bool) -> tuple[Check, ...]:
    """Programs, disk, GPUs and the engine that is needed; with `here` also what an agent installs from."""
    told = Told("machine", "cache")
    made = [
        _check("machine", "programs", lambda: machine.programs(look.versions())),
        _check("machine", "cache", lambda: places.folder(told, "cache", look.disk(cache))),
        _check("machine", "gpu", lambda: _gpus(look, config, here=here)),
    ]
    if (
        config is not None
        and (here or config.jenkins is None)
        and (needed := _engine_needs(config)) is not None
    ):
        made.append(
            _check("machine", "docker engine", lambda: _engine(look, config, needed), "the Docker engine")
        )
    if here:
        made.append(_check("machine", "package index", lambda: machine.index(look.index()), "pip"))
    return tuple(made)


def _check(topic: Topic, name: str, look: Callable[[], Iterable[Finding]], system: str = "") -> Check:
    return Check(topic=topic, name=name, look=look, system=system)


def _gpus(look: MachineLook, config: Config | None, *, here: bool) -> Iterator[Finding]:
    wanted = {model.name: model.train.gpus for model in config.models.values()} if config else {}
    agents = config.jenkins.agents if config and config.jenkins else {}
    label = agents.get("train", agents.get("default", DEFAULT_LABEL))
    return machine.gpus(look.gpus(), wanted, label if isinstance(label, str) else "of its pod", here=here)


def _engine_needs(config: Config) -> dict[str, str] | None:
    """The keys that need a Docker engine -> the stage that does; None where nothing would use one."""
    image = config.image
    needed = {"image.builder": "package"} if image.builder == "docker" else {}
    if image.verify_with:
        needed[VERIFY_WITH] = "verify"
    for model in config.models.values():
        if model.train.image:
            needed[f"models.{model.name}.train.image"] = "train"
    return needed if needed or image.base or image.gpu_base else None


def _engine(look: MachineLook, config: Config, needed: Mapping[str, str]) -> Iterator[Finding]:
    answer: str | MmcicdError
    try:
        answer = look.engine()
    except MmcicdError as e:
        answer = e
    agents = config.jenkins.agents.values() if config.jenkins else ()
    where = config.mark(next(iter(needed), "image.base"))
    return machine.engine(answer, needed, where, one_kind=len({str(agent) for agent in agents}) <= 1)


def _source(here: Here) -> Check:
    settings = here.config.jenkins
    if settings is None:
        return _check("git", "checkout", lambda: [git.here(here.source.uncommitted(()))])
    where, main = here.config.mark("jenkins.source"), settings.main

    def look() -> Iterator[Finding]:
        url = source_of(settings, where).remote
        paths = tuple(here.paths())
        found = here.source.repository(url)
        head = found.branches.get(main, "")
        state = git.Generated(
            main=main,
            uncommitted=here.source.uncommitted(paths),
            unpushed=here.source.lacks(head, paths) if head else None,
        )
        return git.source(found, url, state, where)

    return _check("git", "source", look, "the source repository")


def _ledger(here: Here) -> Check:
    url, where = here.config.ledger.url, here.config.mark("ledger")
    if not is_address(url):
        fix = "ledger: {url: ssh://git@git.example/ml/ledger.git}"
        return _place("git", "ledger", here, Path(here.ledger_url.removeprefix("file://")), url, fix)

    def look() -> Iterator[Finding]:
        found = here.ledger.repository(here.ledger_url, push="mmcicd/doctor")
        return git.ledger(found, ours=here.writes_ledger, where=where)

    return _check("git", "ledger", look, "the ledger")


def _store(here: Here) -> Check:
    settings, where = here.config.store, here.config.mark("store")
    if not settings.registry:
        fix = "store: {registry: registry.example/ml}, or {path: /A/FOLDER/THAT/ALL/AGENTS/SHARE}"
        return _place("store", "store", here, here.store, settings.path, fix)
    host = settings.registry.partition("/")[0]

    def look() -> Iterator[Finding]:
        who = here.registry.reach()
        return registry.rights(settings.registry, who, _needs(here), where)

    return _check("store", "registry", look, f"the registry {host}")


def _needs(here: Here) -> Iterator[registry.Need]:
    """What stages of this side do there. Layers are mounted by whoever may read one place and push to the other."""
    own, *others = SHELVES[here.zone]
    wanted: list[tuple[str, RegistryRight]] = [(own, "read"), (own, "write")]
    wanted += [(other, "read") for other in others]
    if here.zone == "trusted":
        names = [model.name for model in here.chosen]
        wanted += [(name, "write") for name in names]
        wanted += [(name, "delete") for name in (own, *others, *names)]
    for repository, right in wanted:
        yield registry.Need(repository=repository, right=right, why_not=here.registry.may(repository, right))


def _place(topic: Topic, name: str, here: Here, folder: Path, written: str, fix: str) -> Check:
    """A folder of this machine; jobs of Jenkins must find the same one."""
    if here.config.jenkins is None or written.startswith(("/", "file://")):
        return _folder(topic, name, here, folder)
    where = here.config.mark(name)
    return _check(topic, name, lambda: [places.beside(Told(topic, name), f"the {name}", written, fix, where)])


def _folder(topic: Topic, name: str, here: Here, folder: Path) -> Check:
    told, where = Told(topic, name), here.config.mark(name)
    title = f"{name} on this machine" if here.config.jenkins else name
    return _check(topic, name, lambda: places.folder(told, title, here.machine.disk(folder), where))


def _environments(here: Here) -> Iterator[Check]:
    on_agents = []
    for place in here.config.environments.values():
        where = here.config.mark(f"environments.{place.name}")
        if place.kind == "kubernetes":  # has a look of its own: `doctor_cluster`
            continue
        if here.config.jenkins is None:
            yield _ports(here, place)
            continue
        elif place.folder.startswith("/"):
            on_agents.append(place.name)
            continue
        else:
            fix = f"environments: {{{place.name}: {{kind: local, folder: /var/lib/mmcicd/{place.name}}}}}"
            told = Told("environments", place.name)
            finding = places.beside(told, place.name, place.folder or "not given", fix, where)
        yield _check("environments", place.name, lambda found=finding: [found])  # type: ignore[misc]
    if on_agents:
        where = here.config.mark(f"environments.{on_agents[0]}")
        yield _check("environments", "places", lambda: [places.elsewhere(on_agents, where)])


def _ports(here: Here, place: Environment) -> Check:
    where = here.config.mark(f"environments.{place.name}")

    def look() -> Iterator[Finding]:
        state = here.serving(place.name)
        disk = here.machine.disk(state)
        if not disk.writable:
            return places.folder(Told("environments", place.name), place.name, disk, where)
        numbers = (place.rest_port, place.grpc_port)
        return places.ports(place.name, [here.machine.port(place.host, n, state) for n in numbers], where)

    return _check("environments", place.name, look)


def _model(here: Here, model: Model) -> list[Check]:
    where = here.config.mark(f"models.{model.name}.train")
    built_in = model.evaluate.problem is not None
    made = [
        _check("models", model.name, lambda: models.data(model.name, _locked(here, model))),
        _check(
            "models",
            f"{model.name} requirements",
            lambda: models.requirements(
                model.name,
                here.requirements(model),
                image=model.train.image,
                built_in=built_in,
                where=where,
            ),
        ),
    ]
    for source in model.data:
        name = f"{model.name}/{source.name}"
        made.append(_check("models", name, lambda url=source.url: _reached(here, url), name))  # type: ignore[misc]
    return made


def _locked(here: Here, model: Model) -> Iterator[models.DataState]:
    lock = here.lock()
    for source in model.data:
        locked = lock.source(model.name, source.name)
        yield models.DataState(
            name=source.name,
            url=source.url,
            locked_url=locked.url if locked else None,
            where=here.config.mark(f"models.{model.name}.data.{source.name}"),
        )


def _reached(here: Here, url: str) -> tuple[Finding, ...]:
    place = url if "://" in url else str(here.config.root / url)
    here.web.source(place)
    return ()
