"""Copy templates of ours into a repository, whose team owns them from then on."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from mmcicd_jenkins.adapters import generated_files as disk
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.render.files import OWN_TEMPLATES, template_bytes

_Command = Callable[..., int]


def eject_options(example: str) -> Callable[[_Command], _Command]:
    """`--eject` and `--template`, given as `ejects` and `names`; `example` is the name of a template."""

    def decorate(command: _Command) -> _Command:
        copied = f"Copy the templates into {OWN_TEMPLATES}/, where your changes win over ours."
        only = f"With --eject: only this one, such as {example}; may be repeated."
        command = click.option("--template", "names", multiple=True, metavar="NAME", help=only)(command)
        return click.option("--eject", "ejects", is_flag=True, help=copied)(command)

    return decorate


def require_eject(names: Sequence[str], *, ejects: bool) -> None:
    """Raises UsageError where templates are named and none is to be copied."""
    if names and not ejects:
        raise UsageError("--template belongs to --eject")


def eject(root: Path, templates: Sequence[str], names: Sequence[str], *, as_json: bool) -> int:
    """Copy those that the team does not own yet; one that it owns is never touched.

    Args:
        names: only these of `templates`, without folder and ending; () is all.

    Raises:
        UsageError: there is none of that name.
    """
    known = {Path(template).stem: template for template in templates}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(
            f"there is no template {unknown[0]!r}", fix="--template " + " or --template ".join(known)
        )
    copied = []
    for template in [known[name] for name in names] or templates:
        path = f"{OWN_TEMPLATES}/{template}"
        if not disk.read_present(root, [path]):
            disk.write_whole(root / path, template_bytes(template))
            copied.append(path)
    if as_json:
        report.emit({"copied": copied})
        return 0
    for path in copied:
        report.say(f"copied {path}: it is yours now and used instead of ours")
    if not copied:
        report.say(f"Nothing to copy: {OWN_TEMPLATES}/ has them already.")
    return 0
