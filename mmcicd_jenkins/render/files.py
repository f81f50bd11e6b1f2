"""The files of `mmcicd_jenkins.templates` as they are. Who wants one as it is need not wait for the template library."""

from importlib import import_module
from pathlib import Path, PurePosixPath

# Where a team's own copies of templates are, relative to the root.
OWN_TEMPLATES = "jenkins/templates"


def template_bytes(name: str) -> bytes:
    """A file of the templates.

    Raises:
        LookupError: there is none of that name, a path below the templates.
    """
    return template_file(name).read_bytes()


def owns_templates(root: Path, folder: str) -> bool:
    """Whether a team has templates of its own in a folder of them, such as `kubernetes`."""
    return (root / OWN_TEMPLATES / folder).is_dir()


def template_file(name: str) -> Path:
    """Where it is; never outside the templates.

    Raises:
        LookupError: as `template_bytes`.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise LookupError(name)
    file = Path(import_module("mmcicd_jenkins.templates").__path__[0]).joinpath(*path.parts)
    if not file.is_file():
        raise LookupError(name)
    return file
