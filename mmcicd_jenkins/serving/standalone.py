"""Serve model directories that no environment owns, in the foreground: what `serve` does."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.desired import DESIRED, Desired, ServedModel, ServedVersion
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.serving.process import Server
from mmcicd_jenkins.serving.state import StateDirectory, replace_document


def versions_in(path: Path) -> dict[int, Path]:
    """The versions of a model directory: `path` itself when it is a SavedModel, else its numbered folders.

    Raises:
        InputError: there is neither.
    """
    if any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        return {1: path}
    numbered = {
        int(entry.name): entry
        for entry in (path.iterdir() if path.is_dir() else ())
        if entry.name.isascii() and entry.name.isdigit() and int(entry.name) > 0 and entry.is_dir()
    }
    if not numbered:
        raise InputError(
            "there is no SavedModel to serve",
            where=str(path),
            why="it holds neither saved_model.pb nor folders named by version numbers",
            fix='export one: model.export("DIRECTORY")',
        )
    return numbered


def serve(
    state: Path,
    models: Mapping[str, Mapping[int, Path]],
    *,
    host: str = "127.0.0.1",
    rest_port: int = 8501,
    grpc_port: int = 8500,
    listening: Callable[[int], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; `listening` is called once, with the REST port, which 0 leaves to the system.

    Raises:
        Superseded: a server runs on this state directory already.
        OutsideFailed: a port is taken.
        InputError: TensorFlow is not installed.
    """
    directory = StateDirectory(state.resolve())
    directory.acquire()
    wanted = {
        name: ServedModel(
            versions={str(n): ServedVersion(directory=str(path.resolve())) for n, path in versions.items()}
        )
        for name, versions in models.items()
    }
    desired = Desired(host=host, rest_port=rest_port, grpc_port=grpc_port, models=wanted)
    replace_document(directory.root / DESIRED, to_document(desired))
    Server(directory, listening).run()
