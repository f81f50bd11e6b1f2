"""Values from outside the file: environment variables and flags. Default < file < environment < flag.

Only what differs from machine to machine can be set so; a gate or a train command cannot, or a run
would not be what the commit says.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from mmcicd_jenkins.config.marks import KeyPath
from mmcicd_jenkins.config.scalars import scalar
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.records import dataclass

# Key -> environment variable. NAME is the environment's, upper-case with _ for -.
VARIABLES = {
    "store.path": "MMCICD_STORE_PATH",
    "store.registry": "MMCICD_STORE_REGISTRY",
    "store.ca": "MMCICD_STORE_CA",
    "ledger.url": "MMCICD_LEDGER_URL",
    "image.base": "MMCICD_IMAGE_BASE",
    "jenkins.url": "MMCICD_JENKINS_URL",
    "environments.*.host": "MMCICD_ENVIRONMENTS_NAME_HOST",
    "environments.*.rest_port": "MMCICD_ENVIRONMENTS_NAME_REST_PORT",
    "environments.*.grpc_port": "MMCICD_ENVIRONMENTS_NAME_GRPC_PORT",
}
_DEFAULT_ENVIRONMENTS = ("staging", "production")


@dataclass(frozen=True, kw_only=True)
class Override:
    """One value from outside: `source` is `$VARIABLE` or `--flag KEY`."""

    path: KeyPath
    text: str
    source: str


def collect(environ: Mapping[str, str], flags: Mapping[str, str], plain: object) -> tuple[Override, ...]:
    """The overrides that are set, flags last. An empty variable is not set.

    Raises:
        UsageError: a flag names a key that cannot be set from outside.
    """
    known = dict(_known(_environment_names(plain)))
    found = [
        Override(path=tuple(key.split(".")), text=environ[variable], source=f"${variable}")
        for key, variable in known.items()
        if environ.get(variable)
    ]
    for key, text in flags.items():
        if key not in known:
            raise UsageError(
                f"{key} cannot be set from outside the file", fix=f"one of these can: {', '.join(known)}"
            )
        path = tuple(key.split("."))
        found = [o for o in found if o.path != path]
        found.append(Override(path=path, text=text, source=f"--set {key}"))
    return tuple(found)


def _environment_names(plain: object) -> list[str]:
    environments = plain.get("environments") if isinstance(plain, dict) else None
    if isinstance(environments, dict) and environments:
        return [str(name) for name in environments]
    return list(_DEFAULT_ENVIRONMENTS)


def _known(names: list[str]) -> Iterator[tuple[str, str]]:
    for key, variable in VARIABLES.items():
        if "*" not in key:
            yield key, variable
            continue
        for name in names:
            yield key.replace("*", name), variable.replace("NAME", name.upper().replace("-", "_"))


def apply(plain: object, overrides: tuple[Override, ...]) -> Any:
    """`plain` with the overrides in their places; the file's own values stay what they were."""
    if not overrides or not isinstance(plain, dict):
        return plain
    tree = copy.deepcopy(plain)
    if not tree.get("environments") and any(o.path[0] == "environments" for o in overrides):
        tree["environments"] = {name: {} for name in _DEFAULT_ENVIRONMENTS}
    for override in overrides:
        _set(tree, override)
    return tree


def _set(tree: dict[Any, Any], override: Override) -> None:
    at = tree
    for part in override.path[:-1]:
        inside = at.get(part)
        # A shorthand text (ledger, image) has one field, the very one that is set.
        at[part] = inside = inside if isinstance(inside, dict) else {}
        at = inside
    is_port = str(override.path[-1]).endswith("_port")
    at[override.path[-1]] = scalar(override.text) if is_port else override.text
