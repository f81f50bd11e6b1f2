"""The files of `mmcicd_jenkins.templates` as they are. Who wants one as it is need not wait for the template library."""

from importlib import resources
from pathlib import PurePosixPath


def template_bytes(name: str) -> bytes:
    """A file of the templates.

    Raises:
        LookupError: there is none of that name, a path below the templates.
    """
    return template_file(name).read_bytes()


def template_file(name: str) -> resources.abc.Traversable:
    """Where it is; never outside the templates.

    Raises:
        LookupError: as `template_bytes`.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise LookupError(name)
    file: resources.abc.Traversable = resources.files("mmcicd_jenkins.templates")
    for part in path.parts:
        file = file / part
    if not file.is_file():
        raise LookupError(name)
    return file
