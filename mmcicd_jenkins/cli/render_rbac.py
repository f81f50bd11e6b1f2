"""`render rbac`: the accounts and rights that a cluster's administrator applies, with their reasons."""

import os
import re
from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import environment_option, json_option
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config, Environment
from mmcicd_jenkins.config.training_model import TrainingJob
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.ports.rights import Account
from mmcicd_jenkins.render.rbac import ACCOUNTS, Subject, render_rbac, render_trainer
from mmcicd_jenkins.render.rbac_page import rbac_page, trainer_page

# As Kubernetes writes them; a colon parts a user's or a group's name itself (`oidc:ml-ops`).
_BOUND = re.compile(r"(?P<account>[a-z]+)=(?P<kind>user|group|account):(?P<name>[^\s\x00-\x1f]{1,253})")


@click.command(name="rbac")
@environment_option("The environment whose cluster it is for.")
@click.option("--training", is_flag=True, help="For trainings in a cluster instead of an environment.")
@click.option(
    "--bind",
    "bound",
    multiple=True,
    metavar="ACCOUNT=KIND:NAME",
    help="Give the rights of `deployer`, `monitor` or `trainer` to somebody who is there already instead of a new account: "
    "user:NAME, group:NAME or account:NAMESPACE/NAME. May be repeated.",
)
@json_option
def rbac(environment: str | None, training: bool, bound: tuple[str, ...], as_json: bool) -> int:
    """Print what an administrator applies once: accounts, each with a Role of its own and nothing else.

    Example: mmcicd-jenkins render rbac --env production | kubectl apply --filename=-
    """
    config = load_config(Path.cwd(), environ=os.environ)
    given = dict(map(_subject, bound))
    if training and environment:
        raise UsageError("--training and --env are two pages", fix="one of them")
    trainings = _trainings(config) if training or not environment else []
    places = [] if training else _places(config, environment)
    if as_json:
        documents = {place.name: list(render_rbac(config, place, given)) for place in places}
        found = {settings.namespace: list(render_trainer(settings, given)) for settings in trainings}
        report.emit({"environments": documents, "training": found})
        return 0
    pages = [rbac_page(config, place, given) for place in places]
    pages += [trainer_page(settings, given) for settings in trainings]
    if len(pages) != 1:
        options = [f"--env {place.name}" for place in places] + (["--training"] if trainings else [])
        what = "which of these places?" if pages else "no training is a Job of a cluster"
        raise UsageError(what, fix=" or ".join(options) or "train: {job: {cluster: ..., namespace: ...}}")
    report.out(pages[0].rstrip("\n"))
    return 0


def _trainings(config: Config) -> list[TrainingJob]:
    """One for each namespace: that of several models may need more for one of them."""
    found: dict[tuple[str, str], TrainingJob] = {}
    for model in config.models.values():
        job = model.train.job
        if job is not None:
            known = found.get((job.cluster, job.namespace))
            found[job.cluster, job.namespace] = job if known is None or job.workers > known.workers else known
    return list(found.values())


def _places(config: Config, name: str | None) -> list[Environment]:
    found = [place for place in config.environments.values() if place.kind == "kubernetes"]
    chosen = [place for place in found if name in {None, place.name}]
    if chosen or (name is None and any(model.train.job for model in config.models.values())):
        return chosen
    what = (
        f"{name!r} is no environment of kind kubernetes" if name else "no environment is of kind kubernetes"
    )
    fix = (
        "--env " + " or --env ".join(place.name for place in found)
        if found
        else "environments: in mmcicd.yaml"
    )
    raise UsageError(what, fix=fix)


def _subject(text: str) -> tuple[Account, Subject]:
    found = _BOUND.fullmatch(text)
    accounts: dict[str, Account] = {account: account for account in (*ACCOUNTS, "trainer")}
    if found is None or found["account"] not in accounts:
        raise UsageError(f"--bind {text} is not understood", fix="for example --bind deployer=group:ml-ops")
    account, kind, name = accounts[found["account"]], found["kind"], found["name"]
    if kind != "account":
        return account, Subject(kind="user" if kind == "user" else "group", name=name)
    namespace, slash, own = name.partition("/")
    if not (slash and namespace and own):
        raise UsageError(
            f"--bind {text} names no namespace", fix="for example --bind deployer=account:jenkins/agent"
        )
    return account, Subject(kind="account", namespace=namespace, name=own)
