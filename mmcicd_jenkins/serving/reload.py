"""HandleReloadConfigRequest: TF Serving's ModelServerConfig becomes a desired state.

Only a server that no environment owns takes it: in an environment every change goes through the ledger.
"""

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.release.desired import DESIRED, ServedModel, ServedVersion
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.serving.models import Models
from mmcicd_jenkins.serving.state import read_desired, replace_document
from mmcicd_jenkins.serving.status import Code, Refused, invalid, shown


def make_reload(root: Path, models: Models) -> Callable[[Any], None]:
    turn = threading.Lock()

    def reload(config: Any) -> None:
        with turn:
            change(config)

    def change(config: Any) -> None:
        try:
            desired = read_desired(root)
        except MmcicdError as e:
            raise Refused(Code.INTERNAL, e.what) from e
        if desired.environment:
            raise Refused(
                Code.PERMISSION_DENIED,
                f"environment {desired.environment} is changed by promote and rollback only",
            )
        if config.WhichOneof("config") != "model_config_list":
            raise invalid("Only model_config_list can be loaded")
        wanted = {entry.name: _served(entry) for entry in config.model_config_list.config}
        _check_labels(wanted)
        replace_document(root / DESIRED, to_document(dataclasses.replace(desired, models=wanted)))
        problem = models.take(wanted)
        if problem:
            raise Refused(Code.FAILED_PRECONDITION, problem)

    return reload


def _served(entry: Any) -> ServedModel:
    if entry.model_platform not in ("", "tensorflow"):
        raise invalid(f"platform {shown(entry.model_platform)} is not served here")
    base = Path(entry.base_path)
    if not entry.name or not base.is_dir():
        raise invalid(f"model {shown(entry.name)}: {shown(entry.base_path)} is not a directory")
    found = sorted(int(path.name) for path in base.iterdir() if path.name.isascii() and path.name.isdigit())
    versions = _chosen(entry, [number for number in found if number > 0])
    return ServedModel(
        versions={
            str(number): ServedVersion(directory=str((base / str(number)).resolve())) for number in versions
        },
        labels=dict(entry.version_labels),
    )


def _chosen(entry: Any, found: list[int]) -> list[int]:
    """TF Serving's version policy: the newest one unless the entry says otherwise."""
    policy = entry.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return found
    if choice == "specific":
        absent = sorted(set(policy.specific.versions) - set(found))
        if absent:
            raise invalid(f"model {entry.name}: version {absent[0]} is not in {shown(entry.base_path)}")
        return sorted(policy.specific.versions)
    count = policy.latest.num_versions if choice == "latest" else 1
    return found[-max(count, 1) :]


def _check_labels(wanted: dict[str, ServedModel]) -> None:
    for name, model in wanted.items():
        for label, version in model.labels.items():
            if str(version) not in model.versions:
                raise Refused(
                    Code.FAILED_PRECONDITION,
                    f"Label {shown(label)} of model {name} points to version {version}, which is not served",
                )
