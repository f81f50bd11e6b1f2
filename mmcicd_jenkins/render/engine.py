"""Templates to text, one environment per language: Groovy, YAML, shell, plain. Reads only `mmcicd_jenkins.templates`.

The law: a value reaches a file only through a filter of the file's language. Anything else, an undefined name
included, stops the rendering with template:line. Templates hold layout, Python holds decisions. A team's own
copy of a template replaces ours one file at a time and runs in the same sandbox.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from traceback import extract_tb
from typing import Literal as Choice

from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mmcicd_jenkins.errors import InputError, MmcicdError
from mmcicd_jenkins.render import literals
from mmcicd_jenkins.render.files import template_file

Language = Choice["groovy", "yaml", "shell", "plain"]

# A template that is larger than this is not one; the limit keeps a slip from being read into memory.
_LARGEST = 1 << 20
_FILTERS: Mapping[Language, Mapping[str, Callable[[object], literals.Literal]]] = {
    "groovy": {
        "groovy": literals.groovy,
        "groovy_text": literals.groovy_text,
        "shell": literals.shell,
        "verbatim": literals.verbatim,
    },
    "yaml": {"yaml": literals.yaml, "verbatim": literals.verbatim},
    "shell": {"shell": literals.shell, "verbatim": literals.verbatim},
    "plain": {"name": literals.name, "verbatim": literals.verbatim},
}


def render(name: str, language: Language, values: Mapping[str, object], own: Path | None = None) -> str:
    """The text of template `name` (a path below the templates).

    Args:
        name: such as `jenkinsfile/ci.j2`.
        language: what the file is written in; it decides which filters a value may pass.
        values: what the template may name.
        own: a folder in which the team keeps its own copies of templates, looked at first.

    Raises:
        InputError: the template is wrong or names what is not there; `where` is template:line.
    """
    environment = _environment(language, own)
    try:
        return environment.get_template(name).render(values)
    except TemplateNotFound as e:
        raise InputError(
            f"there is no template {e.name}", fix="mmcicd-jenkins render jenkinsfile --eject"
        ) from e
    except TemplateSyntaxError as e:
        where = f"{_shown(e.name or name, own)}:{e.lineno}"
        raise InputError("the template cannot be read", where=where, why=e.message or "") from e
    except (TemplateError, MmcicdError, TypeError, ValueError, ArithmeticError, LookupError) as e:
        raise InputError(
            "the template cannot be rendered",
            where=_place(e, own) or name,
            why=str(e),
            fix=getattr(e, "fix", ""),
        ) from e


def _ours_at(name: str) -> Path:
    try:
        return template_file(name)
    except LookupError as e:
        raise TemplateNotFound(name) from e


class _Confined(BaseLoader):
    """Ours, or the team's copy of it; never a path outside these two folders, by `..` or by a link."""

    def __init__(self, own: Path | None) -> None:
        self.own = own

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:  # noqa: ARG002  jinja's signature
        inside = _ours_at(template)
        copy = self.own / template if self.own else None
        if copy is not None and copy.is_file() and self.own is not None:
            if not copy.resolve().is_relative_to(self.own.resolve()):
                raise TemplateNotFound(template, f"{copy} leads out of {self.own}")
            return _text(copy.read_bytes(), str(copy)), str(copy), lambda: False
        return _text(inside.read_bytes(), template), f"templates/{template}", lambda: True


def _text(data: bytes, name: str) -> str:
    if len(data) > _LARGEST:
        raise InputError("the template is larger than 1 MB", where=name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise InputError("the template is not UTF-8 text", where=name, why=str(e)) from e


def _environment(language: Language, own: Path | None) -> Environment:
    return _ours(language) if own is None else _made(language, own)


@cache
def _ours(language: Language) -> Environment:
    return _made(language, None)


def _made(language: Language, own: Path | None) -> Environment:
    environment = ImmutableSandboxedEnvironment(
        loader=_Confined(own),
        undefined=StrictUndefined,
        finalize=lambda value: _only_literals(value, language),
        # Shell's ${#name} would open a comment and silently eat the text up to the next mark.
        comment_start_string="{!--",
        comment_end_string="--!}",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Escaping is for HTML; here `finalize` demands a literal of the file's language.
        autoescape=False,
    )
    environment.filters.clear()
    environment.filters.update({name: _defined(write) for name, write in _FILTERS[language].items()})
    environment.globals.clear()
    return environment


def _defined(write: Callable[[object], literals.Literal]) -> Callable[[object], literals.Literal]:
    """A filter that names an undefined value instead of calling it one of the wrong kind."""

    def filtered(value: object) -> literals.Literal:
        return write(str(value) if isinstance(value, StrictUndefined) else value)

    return filtered


def _only_literals(value: object, language: Language) -> literals.Literal:
    if isinstance(value, literals.Literal) and value.language in {language, "verbatim"}:
        return value
    if isinstance(value, StrictUndefined):
        str(value)  # raises with the name that is missing
    allowed = ", ".join(name for name in _FILTERS[language] if name in {language, "verbatim"})
    raise InputError(f"{value!r} reached the output without a language filter", fix=f"add one of: {allowed}")


def _place(error: BaseException, own: Path | None) -> str:
    """template:line of the innermost template frame."""
    folders = ("templates/",) if own is None else ("templates/", f"{own}/")
    frames = [f for f in extract_tb(error.__traceback__) if f.filename.startswith(folders)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _shown(name: str, own: Path | None) -> str:
    copy = own / name if own else None
    return str(copy) if copy is not None and copy.is_file() else f"templates/{name}"
