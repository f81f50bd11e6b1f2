"""`render jenkinsfile`: look at the Jenkinsfiles that the configuration gives, or own a template of ours."""

from pathlib import Path

import click

from mmcicd_jenkins.adapters import generated_files as disk
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option, model_option
from mmcicd_jenkins.cli.render_rbac import rbac
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.render.files import OWN_TEMPLATES, template_bytes
from mmcicd_jenkins.render.jenkinsfile import TEMPLATES, render_jenkinsfiles


@click.group(name="render")
def command() -> None:
    """Look at generated files, or copy a template to own it.

    Example: mmcicd-jenkins render jenkinsfile --model churn
    """


@command.command(name="jenkinsfile")
@model_option()
@click.option(
    "--eject",
    is_flag=True,
    help=f"Copy the templates into {OWN_TEMPLATES}/, where your changes win over ours.",
)
@click.option(
    "--template",
    "names",
    multiple=True,
    metavar="NAME",
    help="With --eject: only this one, such as ci; may be repeated.",
)
@json_option
def jenkinsfile(model: str | None, eject: bool, names: tuple[str, ...], as_json: bool) -> int:
    """Print the Jenkinsfiles as they would be written.

    Example: mmcicd-jenkins render jenkinsfile --eject --template ci
    """
    if names and not eject:
        raise UsageError("--template belongs to --eject")
    config = load_config(Path.cwd(), environ={})
    if eject:
        return _eject(config.root, names, as_json=as_json)
    if model is not None and model not in config.models:
        raise UsageError(f"there is no model {model!r}", fix="--model " + " or --model ".join(config.models))
    texts = render_jenkinsfiles(config, model)
    if as_json:
        report.emit({"files": dict(texts)})
        return 0
    report.out("\n".join(f"// {path}\n{text}" for path, text in texts.items()).rstrip("\n"))
    return 0


def _eject(root: Path, names: tuple[str, ...], *, as_json: bool) -> int:
    """Copy templates that the team does not own yet; one that it owns is never touched."""
    known = {Path(template).stem: template for template in TEMPLATES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(
            f"there is no template {unknown[0]!r}", fix="--template " + " or --template ".join(known)
        )
    copied = []
    for template in [known[name] for name in names] or TEMPLATES:
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


command.add_command(rbac)
