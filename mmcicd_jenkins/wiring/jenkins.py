"""Wiring of the controller: which Jenkins, as whom, and the adapters behind its ports.

Apart from `wiring` because only the commands `jobs`, `lint --server` and `doctor` speak with Jenkins, and its
library costs every other command its start.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from mmcicd_jenkins.adapters.jenkins.account import Account, account_of
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.ports.jenkins import JenkinsBuilds, JenkinsFacts, JenkinsInputs, JenkinsItems
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.jobs import settings_of


@dataclass(frozen=True, kw_only=True)
class Controller:
    """A Jenkins and everything that can be asked of it."""

    account: Account
    items: JenkinsItems
    facts: JenkinsFacts
    builds: JenkinsBuilds
    inputs: JenkinsInputs


def open_controller(config: Config, variables: Mapping[str, str]) -> Controller:
    """The Jenkins of `jenkins.url`, with the account of this environment. Sends nothing yet.

    Raises:
        InputError: no section jenkins, no address, or half an account.
    """
    account = account_of(settings_of(config).url, variables, config.mark("jenkins.url"))
    from mmcicd_jenkins.adapters.jenkins.builds import Builds, Inputs
    from mmcicd_jenkins.adapters.jenkins.items import Facts, Items
    from mmcicd_jenkins.adapters.jenkins.server import Server

    server = Server(account)
    return Controller(
        account=account,
        items=Items(server),
        facts=Facts(server),
        builds=Builds(server),
        inputs=Inputs(server),
    )


@contextmanager
def checkout_of(repository: str) -> Iterator[Path]:
    """A throw-away checkout of the main branch, for who has rights on Jenkins and no clone.

    Raises:
        InputError: no such repository, or no right to read it.
        OutsideFailed: git or the network failed.
    """
    from mmcicd_jenkins.adapters.git.cli import Git

    if urlsplit(repository).password:
        raise InputError(
            "a password stands in the address of the repository",
            why="Jenkins would keep it in every job",
            fix="leave it out; git asks a credential helper, and jenkins.credentials names what Jenkins uses",
        )
    with TemporaryDirectory(prefix="mmcicd-jobs-") as folder:
        Git(Path(folder), where=repository).run(
            "clone",
            "--quiet",
            "--depth=1",
            "--single-branch",
            "--no-tags",
            "--",
            repository,
            "checkout",
        )
        yield Path(folder) / "checkout"


def load_jenkins_config(start: Path, variables: Mapping[str, str], repository: str = "") -> Config:
    """The configuration for jobs: with `repository`, its address is the source unless the file names one.

    Raises:
        ConfigInvalid, InputError: as `load_config`; or the file has no section jenkins.
    """
    import dataclasses

    config = load_config(start, environ=variables)
    settings = settings_of(config)
    named = {k: v for k, v in settings.source.items() if k != "server"}
    if not named and repository:
        settings = dataclasses.replace(settings, source={**settings.source, "git": repository})
        config = dataclasses.replace(config, jenkins=settings)
    if not settings.source:
        raise InputError(
            "Jenkins must be told where it finds this repository",
            where=config.mark("jenkins"),
            fix="jenkins: {source: {git: URL}}, or github, gitlab or bitbucket: OWNER/NAME",
        )
    return config
