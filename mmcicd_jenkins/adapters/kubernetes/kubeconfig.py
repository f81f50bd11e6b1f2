"""kubeconfig files as kubectl reads them: several joined, the first that names something wins, relative paths.

Which cluster and which user the current context names, nothing of how one logs in. No secret is in an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

# Hundreds of clusters with their certificates; a file of this size is a mistake.
_LARGEST = 8_388_608


@dataclass(frozen=True, kw_only=True)
class Section:
    """One `cluster:` or `user:` of a file, with the folder that its paths are relative to. It may hold secrets."""

    name: str
    folder: Path
    values: Mapping[str, Any] = field(repr=False)

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise InputError(
                "a kubeconfig has a value of another kind", where=f"{self.name}: {key}", why="it wants text"
            )
        return value

    def path(self, key: str) -> Path | None:
        return self.folder / self.text(key) if self.text(key) else None


@dataclass(frozen=True, kw_only=True)
class Kubeconfig:
    """The cluster and the user of the current context; `others` are contexts and the servers that they lead to."""

    where: str
    context: str
    cluster: Section
    user: Section
    others: Mapping[str, str]


def read_kubeconfig(paths: str) -> Kubeconfig:
    """The current context of the files that `paths` lists, with colons between them, as KUBECONFIG does.

    Raises:
        InputError: none is there, one cannot be read, or the context is not complete.
    """
    files = [Path(part).expanduser() for part in paths.split(":") if part]
    documents = [(path, _load(path)) for path in files if path.exists()]
    if not documents:
        raise InputError(
            "there is no kubeconfig", where=paths, fix="KUBECONFIG: the path of the file with the login"
        )
    context = next(
        (text for _, one in documents if isinstance(text := one.get("current-context"), str) and text), ""
    )
    if not context:
        fix = "kubectl config use-context NAME"
        raise InputError("the kubeconfig has no current context", where=paths, fix=fix)
    chosen = _named(documents, "contexts", "context", context)
    clusters = {name: _server(documents, name) for name in _names(documents)}
    return Kubeconfig(
        where=paths,
        context=context,
        cluster=_named(documents, "clusters", "cluster", chosen.text("cluster")),
        user=_named(documents, "users", "user", chosen.text("user")),
        others={name: server for name, server in clusters.items() if server and name != context},
    )


def _load(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise InputError("a kubeconfig is too large", where=str(path), why=f"more than {_LARGEST} bytes")
        document = yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except OSError as e:
        raise InputError("a kubeconfig cannot be read", where=str(path), why=e.strerror or str(e)) from e
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        # Its message quotes the line, which may be a token.
        mark = getattr(e, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise InputError("a kubeconfig is not YAML", where=where, fix="kubectl config view") from None
    if not isinstance(document, dict):
        raise InputError(
            "this is not a kubeconfig", where=str(path), fix="kubectl config view --flatten writes one"
        )
    return document


def _entries(document: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    listed = document.get(kind)
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _named(documents: Sequence[tuple[Path, Mapping[str, Any]]], kind: str, key: str, name: str) -> Section:
    for path, document in documents:
        for entry in _entries(document, kind):
            if entry.get("name") == name and isinstance(entry.get(key), dict):
                return Section(name=f"{key} {name}", folder=path.absolute().parent, values=entry[key])
    where = ":".join(str(path) for path, _ in documents)
    raise InputError(f"the kubeconfig has no {key} {name!r}", where=where, fix="kubectl config get-contexts")


def _names(documents: Sequence[tuple[Path, Mapping[str, Any]]]) -> list[str]:
    found = [entry.get("name") for _, document in documents for entry in _entries(document, "contexts")]
    return [name for name in dict.fromkeys(found) if isinstance(name, str)]


def _server(documents: Sequence[tuple[Path, Mapping[str, Any]]], context: str) -> str:
    try:
        name = _named(documents, "contexts", "context", context).text("cluster")
        return _named(documents, "clusters", "cluster", name).text("server")
    except InputError:
        return ""  # a broken context that is not used is nobody's business
