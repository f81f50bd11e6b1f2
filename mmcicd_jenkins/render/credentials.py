"""Which Jenkins credentials a stage needs, and the variables in which its command finds them. Pure.

The law: least privilege. A stage is given what it uses and no more; `prepare` and `test`, which also run for
forks, are given nothing; one stage never holds the credentials of two environments. Ids are rendered, never
values. What each variable means to the command is `adapters.credentials`' to read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Literal

from mmcicd_jenkins.config.credential_uses import (
    MONITOR,
    SHARED_WITH_OPS,
    DataKind,
    GitKind,
    Zone,
    data_kinds,
    git_kind,
)
from mmcicd_jenkins.config.model import Config, JenkinsSettings, Model
from mmcicd_jenkins.records import dataclass

BindingKind = Literal["usernamePassword", "file", "string", "sshUserPrivateKey"]


@dataclass(frozen=True, kw_only=True)
class Binding:
    """One entry of `withCredentials([...])`: its symbol, the id, and the step's own names for its variables."""

    kind: BindingKind
    id: str
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """What signs, writes history, pushes images or reads for us alone: no command of a team is given it."""
        return any(name.startswith("MMCICD_") for name in self.variables.values())


# What each stage uses, as the ports say that it calls. `environment` is the one that the stage touches;
# `live` is the Prometheus where a canary is judged by it; `bytes` is the registry as well where that environment is
# local, since its server fetches the model from there.
# Whoever asks which run this commit has reads the registry; ci's account writes one repository of it, ops' the others.
_CI: Mapping[str, tuple[str, ...]] = {
    "prepare": (),
    "test": (),
    "data": ("data", "registry"),
    "train": ("data", "registry", "training"),
    "evaluate": ("data", "registry", "ledger"),
    # Moves the lock of the data and pushes the commit.
    "retrain": ("data", "source"),
}
_OPS: Mapping[str, tuple[str, ...]] = {
    "prepare": (),
    "test": (),
    "data": ("data", "registry"),
    "evaluate": ("data", "registry", "ledger"),
    "package": ("registry", "ledger", "signing"),
    "verify": ("registry", "ledger"),
    "deploy": ("registry", "ledger", "signing", "environment", "live"),
    "smoke": ("registry", "ledger", "environment", "serving"),
    "propose": ("registry", "ledger", "signing"),
    # Looks at what a promotion would do, before anybody approved it.
    "plan": ("registry", "ledger", "environment"),
    "canary": ("registry", "ledger", "signing", "environment", "live"),
    "promote": ("registry", "ledger", "signing", "environment", "live"),
    "rollback": ("ledger", "signing", "environment", "bytes"),
    "monitor": ("ledger", "signing", "look", "prometheus", "bytes"),
    # The monitor again, by the login that may do what it decides.
    "act": ("ledger", "signing", "environment", "prometheus", "bytes"),
}
_NEEDS: Mapping[Zone, Mapping[str, tuple[str, ...]]] = {"ci": _CI, "ops": _OPS}


def bindings(
    config: Config, zone: Zone, stage: str, environment: str = "", *, model: str = ""
) -> tuple[Binding, ...]:
    """What to wrap around the one `sh` of a stage; a hook is given of that what is not ours alone.

    Args:
        config: ids that it does not name are left out: the agent may have rights of its own.
        zone: the folder in which the job stands.
        stage: a stage of `mmcicd-jenkins stage`, or `retrain`.
        environment: the one that the stage touches; "" for none.
        model: its data alone count; "" counts those of all models.

    Raises:
        KeyError: there is no such stage in this folder.
    """
    needs = _NEEDS[zone][stage]
    if config.jenkins is None:
        return ()
    ids = _Ids(config.jenkins, zone)
    return tuple(_of(config, ids, needs, environment, model))


class _Ids:
    """The ids of one folder. What ops does not name for itself it shares with ci, unless that would be less."""

    def __init__(self, jenkins: JenkinsSettings, zone: Zone) -> None:
        self._own = jenkins.credentials.get(zone, {})
        self._shared = jenkins.credentials.get("ci", {})

    def of(self, use: str) -> str:
        is_shared = use.partition("-")[0] in SHARED_WITH_OPS
        return self._own.get(use) or (self._shared.get(use, "") if is_shared else "")


def _of(config: Config, ids: _Ids, needs: tuple[str, ...], environment: str, model: str) -> Iterator[Binding]:
    place = config.environments[environment] if environment else None
    for use in needs:
        if use == "data":
            yield from _data(config, ids, model)
        elif use == "ledger":
            yield from _git("ledger", git_kind(config.ledger.url), ids.of("ledger"))
        elif use == "source":
            yield from _git("source", source_kind(config.jenkins), ids.of("source"))
        elif use == "signing":
            yield from _file(ids.of("signing"), "MMCICD_SIGNING_KEY")
        elif use == "training":
            chosen = [config.models[model]] if model else list(config.models.values())
            if any(each.train.job for each in chosen):
                yield from _file(ids.of("training"), "KUBECONFIG")
        elif use in {"environment", "look"}:
            if place and place.kind == "kubernetes":
                looking = ids.of(MONITOR.format(environment=environment)) if use == "look" else ""
                yield from _file(looking or ids.of(environment), "KUBECONFIG")
        elif use in {"prometheus", "live"}:
            asks = use == "prometheus" or (place and place.strategy.kind == "canary")
            if asks and place and place.kind == "kubernetes" and place.monitor.prometheus:
                yield from _text(ids.of("prometheus"), "MMCICD_PROMETHEUS_TOKEN")
        elif use == "serving":
            if place and place.proxy and place.proxy.users_secret:
                yield from _user_and_password(ids.of("serving"), "MMCICD_SERVING")
            if place and place.kind == "kubernetes":
                yield from _file(ids.of("serving-ca"), "MMCICD_SERVING_CA")
        elif config.store.registry and (use == "registry" or (place and place.kind == "local")):
            yield from _user_and_password(ids.of("registry"), "MMCICD_REGISTRY")


def looks_apart(config: Config, environment: str) -> bool:
    """Whether the monitor of an environment has a login of its own, which cannot deploy."""
    named = config.jenkins.credentials.get("ops", {}) if config.jenkins else {}
    is_cluster = config.environments[environment].kind == "kubernetes"
    return is_cluster and bool(named.get(MONITOR.format(environment=environment)))


def data_ids(ids: Mapping[str, str], kinds: tuple[DataKind, ...]) -> dict[DataKind, str]:
    """The id for each kind of storage: its own, or `data` where there is no other kind to mistake it for."""
    alone = ids.get("data", "") if len(kinds) == 1 else ""
    found = {kind: ids.get(f"data-{kind}", "") or alone for kind in kinds}
    return {kind: each for kind, each in found.items() if each}


def _data(config: Config, ids: _Ids, model: str) -> Iterator[Binding]:
    chosen: list[Model] = [config.models[model]] if model else list(config.models.values())
    every = data_kinds(source.url for each in config.models.values() for source in each.data)
    kinds = data_kinds(source.url for each in chosen for source in each.data)
    written = {use: ids.of(use) for use in ("data", *(f"data-{kind}" for kind in every))}
    for kind, each in data_ids(written, every).items():
        if kind not in kinds:
            continue
        if kind == "gs":
            yield from _file(each, "GOOGLE_APPLICATION_CREDENTIALS")
        elif kind == "s3":
            variables = {
                "usernameVariable": "AWS_ACCESS_KEY_ID",
                "passwordVariable": "AWS_SECRET_ACCESS_KEY",
            }
            yield Binding(kind="usernamePassword", id=each, variables=variables)
        else:
            yield from _user_and_password(each, "MMCICD_DATA")


def source_kind(jenkins: JenkinsSettings | None) -> GitKind:
    """How the repository itself is reached; the hosting services by https, with a token as password."""
    source = jenkins.source if jenkins else {}
    if source.get("git"):
        return git_kind(source["git"])
    return "https" if any(source.get(host) for host in ("github", "gitlab", "bitbucket")) else ""


def _git(use: str, kind: GitKind, each: str) -> Iterator[Binding]:
    prefix = f"MMCICD_{use.upper()}"
    if kind == "https":
        yield from _user_and_password(each, prefix)
    elif kind == "ssh" and each:
        variables = {"keyFileVariable": f"{prefix}_KEY_FILE", "usernameVariable": f"{prefix}_USER"}
        yield Binding(kind="sshUserPrivateKey", id=each, variables=variables)


def _user_and_password(each: str, prefix: str) -> Iterator[Binding]:
    if each:
        variables = {"usernameVariable": f"{prefix}_USER", "passwordVariable": f"{prefix}_PASSWORD"}
        yield Binding(kind="usernamePassword", id=each, variables=variables)


def _file(each: str, variable: str) -> Iterator[Binding]:
    if each:
        yield Binding(kind="file", id=each, variables={"variable": variable})


def _text(each: str, variable: str) -> Iterator[Binding]:
    if each:
        yield Binding(kind="string", id=each, variables={"variable": variable})
