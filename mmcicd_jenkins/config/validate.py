"""What needs two keys, the file system or another section. Shape and kind of single values are `config.shape`'s."""

from pathlib import Path

from mmcicd_jenkins.config.schema import FileSection
from mmcicd_jenkins.config.shape import Findings


def check_sense(file: FileSection, findings: Findings, root: Path) -> None:
    """Add every mistake and warning about a file whose shape is right."""
