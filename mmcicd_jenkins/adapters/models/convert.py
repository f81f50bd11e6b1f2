"""Other model formats to a SavedModel: recognises what it is given, converts in a process of its own.

TensorFlow runs in that process only, in whichever Python has it. The SavedModel appears whole or not at all.
"""

import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from mmcicd_jenkins.adapters.file_lock import cannot_write
from mmcicd_jenkins.adapters.models import convert_script
from mmcicd_jenkins.adapters.models.formats import SAVED_MODEL, Format, recognise
from mmcicd_jenkins.adapters.models.saved_model import Signature, read_signatures
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.ports import Commands

TIMEOUT_SECONDS = 1800.0
# Every value comes by the environment, so that no name is ever read by the shell.
COMMAND = 'exec "$MMCICD_PYTHON" "$MMCICD_SCRIPT" "$MMCICD_REQUEST"'


class Converter:
    """Args: `commands` runs the conversion; `python` has TensorFlow ("" looks for one)."""

    def __init__(self, commands: Commands, python: str = "") -> None:
        self._commands = commands
        self._python = python

    def convert(
        self,
        source: Path,
        target: Path,
        *,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Mapping[str, Signature]:
        """Write a SavedModel with the signature `serving_default` to `target`; its signatures.

        Args:
            source: a frozen graph, a checkpoint (its prefix or folder), a `.keras` or HDF5 file.
            target: a folder that is absent or empty.
            inputs, outputs: name in the signature -> tensor in the graph; looked for when not given.

        Raises:
            InputError: the source is something else, or cannot be converted; says what it is.
            OutsideFailed: the conversion was killed, or the target cannot be written.
        """
        found = _recognised(source)
        _refuse_taken(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Beside the target, so that the last step is one rename.
            folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        except OSError as e:
            raise cannot_write(target, e) from e
        try:
            self._run(found, source, folder, inputs or {}, outputs or {}, on_line)
            signatures = read_signatures(folder / "model")
            if target.is_dir():
                target.rmdir()
            (folder / "model").replace(target)
            return signatures
        except OSError as e:
            raise cannot_write(target, e) from e
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run(
        self,
        found: Format,
        source: Path,
        folder: Path,
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
        on_line: Callable[[str], None] | None,
    ) -> None:
        request = folder / "request.json"
        document = {
            "format": found.name,
            "source": str(source.resolve()),
            "target": str((folder / "model").resolve()),
            "inputs": dict(inputs),
            "outputs": dict(outputs),
        }
        request.write_text(json.dumps(document), encoding="utf-8")
        finished = self._commands.run(
            COMMAND,
            directory=folder,
            variables={
                "MMCICD_PYTHON": self._python or _python_with_tensorflow(),
                "MMCICD_SCRIPT": convert_script.__file__,
                "MMCICD_REQUEST": str(request.resolve()),
            },
            log=folder / "convert.log",
            timeout_seconds=TIMEOUT_SECONDS,
            on_line=on_line,
        )
        try:
            answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as e:
            raise OutsideFailed(
                "the conversion ended without an answer",
                where=str(source),
                why=finished.why or next(reversed(finished.last_lines), f"status {finished.status}"),
            ) from e
        if answer:
            raise InputError(answer["error"], where=str(source), why=answer["why"], fix=answer["fix"])


def _python_with_tensorflow() -> str:
    """Our own Python when it has TensorFlow (found, not imported), else the one in PATH."""
    if importlib.util.find_spec("tensorflow") is not None:
        return sys.executable
    return shutil.which("python") or shutil.which("python3") or sys.executable


def _recognised(source: Path) -> Format:
    try:
        found = recognise(source)
    except FileNotFoundError as e:
        raise InputError("there is no such file", where=str(source), fix="correct the path") from e
    except OSError as e:
        raise InputError("the file cannot be read", where=str(source), why=e.strerror or str(e)) from e
    if found == SAVED_MODEL:
        raise InputError(
            "this is a SavedModel already",
            where=str(source),
            fix='copy it: cp -r SOURCE/. "$MMCICD_MODEL_DIR"',
        )
    if not found.convertible:
        raise InputError(
            f"this is {found.words}; it cannot be converted",
            where=str(source),
            why="a frozen graph, a checkpoint with its .meta, a .keras or an HDF5 file can",
            fix=found.fix.format(name=source.name) if "{name}" in found.fix else found.fix,
        )
    return found


def _refuse_taken(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            "the target is not empty",
            where=str(target),
            why="nothing is overwritten",
            fix="name another folder, or remove this one",
        )
