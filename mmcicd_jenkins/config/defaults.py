"""Defaults that depend on the rest of the file or on what lies in the checkout, in their written form.

Everything else has its default in the schema. Merged under what people wrote, so that one step makes a
`Config` from a complete file and `config explain` can show every value.
"""

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcicd_jenkins.config.places import exists, is_file, is_folder, leaves_root

# When `train.inputs` names nothing, a training depends on every file of the model's path but these: a commit
# that only touches them trains nothing. A glob matches a file or a folder above it, relative to that path;
# `*` crosses folders. When in doubt a file stays in: training once too often costs less than once too rarely.
DEFAULT_LEFT_OUT = (
    "docs", "doc", "*.md", "*.rst", "tests", "mmcicd.yaml", "mmcicd.platform.yaml", "mmcicd.lock", "mmcicdw", ".mmcicd", "jenkins", "Jenkinsfile",
    ".github", ".gitlab-ci.yml", ".gitignore", ".gitattributes", ".editorconfig", ".pre-commit-config.yaml", "LICENSE*",
    "NOTICE*", "CODEOWNERS",
)  # fmt: skip

LAST_PORTS = (8501, 8500)

# What a checkout has of its own and `git clean` must not take, as siblings of it.
LEDGER, STORE, SERVE = "ledger.git", "store", "serve"


def derived(plain: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """A tree like the file's with the values that nobody wrote. `plain` has passed its checks."""
    environments = plain.get("environments") or {"staging": {}, "production": {}}
    return {
        "models": {name: _model(model, root) for name, model in plain["models"].items()},
        "environments": _environments(environments),
        "ledger": {"url": beside(root, LEDGER)},
        "store": {"path": beside(root, STORE)},
        "image": _image(plain.get("image")),
    }


def _image(written: Any) -> dict[str, Any]:
    """A build is given the folder of its Dockerfile."""
    dockerfile = written.get("dockerfile") if isinstance(written, Mapping) else None
    return {"context": posixpath.dirname(dockerfile) or "."} if isinstance(dockerfile, str) else {}


def _model(model: Mapping[str, Any], root: Path) -> dict[str, Any]:
    path = model.get("path", ".")
    has_image = isinstance(model["train"], Mapping) and "image" in model["train"]
    test = "python -m pytest -q tests" if is_folder(root / path / "tests") else ""
    return {"train": {"requirements": "" if has_image else _requirements(path, root)}, "test": test}


def _requirements(path: str, root: Path) -> str:
    """The model's own, or the root's."""
    candidates = (posixpath.normpath(f"{folder}/requirements.txt") for folder in (path, "."))
    return next((c for c in candidates if is_file(root / c) and not leaves_root(c, root)), "")


def _environments(environments: Mapping[str, Any]) -> dict[str, Any]:
    ports = local_ports(
        {name: (written or {}).get("kind", "local") for name, written in environments.items()}
    )
    return {name: _environment(written or {}, ports.get(name)) for name, written in environments.items()}


def _environment(written: Mapping[str, Any], ports: tuple[int, int] | None) -> dict[str, Any]:
    strategy = written.get("strategy", {})
    has_canary = isinstance(strategy, Mapping) and strategy.get("canary") is not None
    values: dict[str, Any] = {"strategy": {"kind": "canary" if has_canary else "rolling"}}
    return values | {"rest_port": ports[0], "grpc_port": ports[1]} if ports else values


def beside(root: Path, kind: str) -> str:
    """`NAME.kind` beside the checkout, relative to `root`: what serves must outlive `git clean -fdx`.

    Beside the whole working tree, where `mmcicd.yaml` lies in a folder of it; NAME then says which.
    """
    top = next((folder for folder in (root, *root.parents) if exists(folder / ".git")), root)
    inside = root.relative_to(top).parts
    return f"{'../' * (1 + len(inside))}{'-'.join((top.name or 'checkout', *inside))}.{kind}"


def local_ports(kinds: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """REST and gRPC ports that do not meet: the last environment has TF Serving's own, each before it 100 more."""
    rest, grpc = LAST_PORTS
    numbered = enumerate(reversed(list(kinds.items())))
    return {name: (rest + 100 * n, grpc + 100 * n) for n, (name, kind) in numbered if kind == "local"}


def merged(
    under: Mapping[str, Any], over: Mapping[str, Any], shorthands: Mapping[str, str]
) -> dict[str, Any]:
    """`over` on top of `under`, mapping by mapping. A text that stands for a section keeps doing so."""
    result = dict(under)
    for name, value in over.items():
        below = result.get(name)
        if isinstance(below, Mapping):
            if isinstance(value, str) and name in shorthands:
                value = {shorthands[name]: value}
            if isinstance(value, Mapping):
                value = merged(below, value, shorthands)
        result[name] = value
    return {name: result[name] for name in [*over, *(n for n in under if n not in over)]}
