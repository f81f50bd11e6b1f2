"""A controller to test against: the stand-in, or a real one when MMCICD_TEST_JENKINS_URL, _USER and _TOKEN are set."""

import os
import uuid
from xml.sax.saxutils import escape

import pytest
from jenkins_standin import Script, Standin

from mmcicd_jenkins.adapters.jenkins.account import Account
from mmcicd_jenkins.adapters.jenkins.builds import Builds, Inputs
from mmcicd_jenkins.adapters.jenkins.items import Facts, Items
from mmcicd_jenkins.adapters.jenkins.server import Server

# Read before the fixture that clears the environment of everything ours.
REAL = {name: os.environ.get(f"MMCICD_TEST_JENKINS_{name}", "") for name in ("URL", "USER", "TOKEN")}
FOLDER = "<com.cloudbees.hudson.plugins.folder.Folder/>"


class House:
    """A controller, and a folder in it that is deleted at the end."""

    def __init__(self, account: Account, standin: Standin | None) -> None:
        self.account = account
        self.standin = standin
        self.server = Server(account, tries=1)
        self.items, self.facts = Items(self.server), Facts(self.server)
        self.builds, self.inputs = Builds(self.server), Inputs(self.server)
        self.folder = f"mmcicd-contract-{uuid.uuid4().hex[:8]}"

    def job(self, name: str, groovy: str, script: Script, parameters: tuple[str, ...] = ()) -> str:
        """A pipeline job: real Groovy for a real controller, the same course as a script for the stand-in."""
        fields = "".join(
            f"<hudson.model.StringParameterDefinition><name>{p}</name></hudson.model.StringParameterDefinition>"
            for p in parameters
        )
        properties = (
            f"<properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>{fields}"
            "</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>"
            if fields
            else ""
        )
        path = f"{self.folder}/{name}"
        made = self.items.create(
            path,
            f"<flow-definition>{properties}<definition class='org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition'>"
            f"<script>{escape(groovy)}</script><sandbox>true</sandbox></definition></flow-definition>",
        )
        assert made
        if self.standin:
            self.standin.item(path).script = script
        return path


@pytest.fixture(scope="session")
def standin():
    if REAL["URL"]:
        yield None
        return
    with Standin() as server:
        yield server


@pytest.fixture
def house(standin):
    if standin is None:
        account = Account(url=REAL["URL"].rstrip("/") + "/", user=REAL["USER"], token=REAL["TOKEN"])
    else:
        account = Account(url=standin.url, user="admin", token=standin.accounts["admin"])
    made = House(account, standin)
    assert made.items.create(made.folder, FOLDER)
    yield made
    made.items.delete(made.folder)
