"""What a container of the image starts with: the base's settings, with what TF Serving needs in addition. Pure.

The entry point is the base's. TF Serving's own script hands its arguments on, so a flag of ours stands in `Cmd`; where
the base starts something without an entry point, `Cmd` is the program itself and stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image.tar import MODELS, MONITORING
from mmcicd_jenkins.records import dataclass

REST_PORT = 8501
GRPC_PORT = 8500
# A number, so that Kubernetes can prove that it is not root. Apart from the ids that distributions hand out.
USER = "10001:10001"
MONITORING_FLAG = "--monitoring_config_file"

_ROOTS = {"", "0", "root", "0:0", "root:root"}
# Of a foreign config these are the parts that a container is started from; a build's leftovers are not.
_TEXTS = ("User", "WorkingDir", "StopSignal")
_LISTS = ("Env", "Entrypoint", "Cmd", "Shell", "OnBuild")
_OBJECTS = ("ExposedPorts", "Labels", "Volumes", "Healthcheck")

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Start:
    """What the configuration asks for. `user` "" = the base's if it is not root, else `USER`."""

    user: str = ""
    monitoring: bool = True


def settings(base: Mapping[str, Any], start: Start, model: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """The `config` of an image whose base has `base` there.

    Raises:
        IntegrityFailed: a setting of the base has another type than it must have.
    """
    kept = _kept(base)
    ports: dict[str, Any] = {f"{GRPC_PORT}/tcp": {}, f"{REST_PORT}/tcp": {}}
    made = {
        **kept,
        "Env": _env(kept.get("Env", []), model),
        "ExposedPorts": {**kept.get("ExposedPorts", {}), **ports},
        "Labels": {**kept.get("Labels", {}), **labels},
        "User": start.user or _not_root(kept.get("User", "")),
        "WorkingDir": kept.get("WorkingDir") or "/",
    }
    flags = _flags(kept, start)
    return made | {"Cmd": flags} if flags else made


def _kept(base: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for names, kind in ((_TEXTS, str), (_LISTS, list), (_OBJECTS, dict)):
        for name in names:
            if base.get(name) is not None:
                kept[name] = typed(base, name, kind)
    for name in _LISTS:
        if not all(isinstance(item, str) for item in kept.get(name, [])):
            raise broken(f"{name} in the base image's config is not a list of texts")
    if not all(isinstance(text, str) for text in kept.get("Labels", {}).values()):
        raise broken("a label in the base image's config is not a text")
    return kept


def typed(document: Mapping[str, Any], key: str, kind: type[_T]) -> _T:
    """A field of a base's config; absent and null are empty.

    Raises:
        IntegrityFailed: it has another type.
    """
    value = document.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise broken(f"{key} in the base image's config is not what it should be")
    return value


def _flags(kept: Mapping[str, Any], start: Start) -> list[str]:
    given: list[str] = kept.get("Cmd", [])
    has_own = any(argument.partition("=")[0] == MONITORING_FLAG for argument in given)
    if not start.monitoring or not kept.get("Entrypoint") or has_own:
        return given
    return [*given, f"{MONITORING_FLAG}=/{MONITORING}"]


def _not_root(user: str) -> str:
    return USER if user in _ROOTS else user


def _env(existing: Sequence[str], model: str) -> list[str]:
    """The base's variables with ours: TF Serving's start script reads both."""
    ours = {"MODEL_NAME": model, "MODEL_BASE_PATH": f"/{MODELS}"}
    kept = [line for line in existing if line.partition("=")[0] not in ours]
    return [*kept, *(f"{name}={value}" for name, value in ours.items())]


def broken(why: str) -> IntegrityFailed:
    return IntegrityFailed("an image's documents contradict each other", why=why)
