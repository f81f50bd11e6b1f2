"""What a requirements file asks for, with the files it includes. Pure reading: nothing is installed here.

The digest of an environment is made from this: comments and empty lines do not count, the content of
included files and of local projects does, and so it is the same on every machine.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

_INCLUDE = re.compile(r"(-r|-c|--requirement|--constraint)(?:[ =]|(?<=-[rc]))\s*(.+)")
_EDITABLE = re.compile(r"(?:-e|--editable)[ =]\s*(.+)")
# What decides how a local project is built and which dependencies it brings.
PROJECT_FILES = ("pyproject.toml", "setup.cfg", "setup.py", "requirements.txt")
_INSTALLABLE = ("pyproject.toml", "setup.py")  # pip takes no other folder for a project


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One line, as pip reads it: comments gone, continuations joined."""

    file: Path
    line: int
    text: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """All lines in order. `contents` is what identifies them everywhere, `places` what binds them to this machine."""

    lines: tuple[Requirement, ...]
    contents: tuple[str, ...]
    places: tuple[str, ...]

    def line_of(self, package: str) -> Requirement | None:
        """The line that names `package`."""
        wanted = _normal(package)
        return next(
            (line for line in self.lines if _normal(re.split(r"[\s\[<>=!~;@]", line.text)[0]) == wanted), None
        )


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def read_requirements(path: Path) -> Requirements:
    """Read `path` and what it includes.

    Raises:
        InputError: a file is missing or is not text; names the line that includes it.
    """
    lines = tuple(_read(path, (), ""))
    contents = []
    places = []
    for line in lines:
        contents.append(line.text)
        editable = _EDITABLE.fullmatch(line.text)
        project = _local_project(line.file.parent, editable[1] if editable else line.text)
        if project is not None:
            contents.append(_told_project_digest(project, line, whole=editable is None))
            places.append(str(project.resolve()))
    return Requirements(lines=lines, contents=tuple(contents), places=tuple(places))


def _read(path: Path, stack: tuple[Path, ...], included_by: str) -> Iterator[Requirement]:
    if path.resolve() in stack:
        raise InputError(
            "requirements files include each other in a circle", where=included_by, fix="remove this line"
        )
    try:
        text = _text(path)
    except (OSError, ValueError) as e:
        raise InputError(
            f"the requirements file {path.name} cannot be read",
            where=included_by or str(path),
            why=(e.strerror or str(e)) if isinstance(e, OSError) else "it is not UTF-8 text",
            fix="correct the path, or create the file",
        ) from e
    for number, content in _logical_lines(text):
        requirement = Requirement(file=path, line=number, text=content)
        include = _INCLUDE.fullmatch(content)
        if include and "://" not in include[2]:
            # The kind stays in the digest: a constraint is not a requirement.
            yield Requirement(file=path, line=number, text=include[1])
            yield from _read(path.parent / include[2].strip(), (*stack, path.resolve()), requirement.where)
        else:
            yield requirement


def _text(path: Path) -> str:
    text = path.read_text(encoding="utf-8-sig")
    if "\0" in text:
        raise ValueError("there is a NUL character")
    return text


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    started, parts = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        started = started or number
        # As pip: a comment begins a line or follows white space.
        parts += re.sub(r"(^|\s+)#.*$", "", line)
        if parts.endswith("\\"):
            parts = parts[:-1]
            continue
        if parts.strip():
            yield started, " ".join(parts.split())
        started, parts = 0, ""
    if parts.strip():
        yield started, " ".join(parts.split())


def _local_project(directory: Path, text: str) -> Path | None:
    place = text.rpartition(" @ ")[2].partition(";")[0].strip().removeprefix("file://")
    place = re.sub(r"\[[^\]]*\]$", "", place)
    if not place.startswith((".", "/")) or "://" in place:
        return None
    path = directory / place
    try:
        return path if path.is_file() or any((path / name).is_file() for name in _INSTALLABLE) else None
    except OSError:  # no file can have such a name; pip will say so
        return None


def _told_project_digest(project: Path, line: Requirement, *, whole: bool) -> str:
    try:
        return _project_digest(project, whole=whole)
    except OSError as e:
        raise InputError(
            f"the local project {line.text} cannot be read",
            where=line.where,
            why=f"{e.filename}: {e.strerror or e}",
            fix="make its files readable, or take the file out of the project",
        ) from e


def _project_digest(project: Path, *, whole: bool) -> str:
    """An editable project is built from its packaging files; a copied one from every file."""
    if project.is_file():
        files = [project]
    elif whole:
        files = sorted(p for p in project.rglob("*") if p.is_file() and not _is_made(p.relative_to(project)))
    else:
        files = [project / name for name in PROJECT_FILES if (project / name).is_file()]
    digest = hashlib.sha256()
    for file in files:
        name = file.name if file == project else file.relative_to(project).as_posix()
        digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _is_made(path: Path) -> bool:
    return any(
        part in {".git", "__pycache__", "build", "dist", ".mmcicd", ".venv"} for part in path.parts
    ) or any(part.endswith(".egg-info") for part in path.parts)
