"""`render`: look at what the configuration gives, or own a template of ours; here for Jenkinsfiles."""

from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option, model_option
from mmcicd_jenkins.cli.render_eject import eject, eject_options, require_eject
from mmcicd_jenkins.cli.render_kubernetes import kubernetes
from mmcicd_jenkins.cli.render_rbac import rbac
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.render.jenkinsfile import TEMPLATES, render_jenkinsfiles


@click.group(name="render")
def command() -> None:
    """Look at generated files, or copy a template to own it.

    Example: mmcicd-jenkins render jenkinsfile --model churn
    """


@command.command(name="jenkinsfile")
@model_option()
@eject_options("ci")
@json_option
def jenkinsfile(model: str | None, ejects: bool, names: tuple[str, ...], as_json: bool) -> int:
    """Print the Jenkinsfiles as they would be written.

    Example: mmcicd-jenkins render jenkinsfile --eject --template ci
    """
    require_eject(names, ejects=ejects)
    config = load_config(Path.cwd(), environ={})
    if ejects:
        return eject(config.root, TEMPLATES, names, as_json=as_json)
    if model is not None and model not in config.models:
        raise UsageError(f"there is no model {model!r}", fix="--model " + " or --model ".join(config.models))
    texts = render_jenkinsfiles(config, model)
    if as_json:
        report.emit({"files": dict(texts)})
        return 0
    report.out("\n".join(f"// {path}\n{text}" for path, text in texts.items()).rstrip("\n"))
    return 0


command.add_command(kubernetes)
command.add_command(rbac)
