"""Bytes that lie elsewhere on this machine, under a name of our own: linked where the disk can, else copied."""

import os
import shutil
from pathlib import Path

from mmcicd_jenkins.stages.workspace import cannot_write, make_directory


def place_bytes(source: Path, folder: Path) -> None:
    """A directory becomes `folder`; a file lies below it under its own name."""
    try:
        if source.is_dir():
            shutil.copytree(source, folder, copy_function=_link)
        else:
            _link(str(source), str(make_directory(folder) / source.name))
    except OSError as e:
        raise cannot_write(folder, e) from e


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
