"""`status` beside a cluster: who serves which share, what was cut short, what the ledger does not know, an alarm of the monitor.

What is asked is a server with the cluster's rules; what is read is the real adapters' answer to it.
"""

import dataclasses
import shutil

import pytest
from kubernetes_standin import serving
from paper import MODEL as FIXTURE
from paper_cluster import MODEL, PaperCluster

from mmcicd_jenkins.cli.status_look import Look
from mmcicd_jenkins.errors import OutsideFailed

CANARY = {
    "canary": {"steps": ["33% for 1m", "50% for 1m"], "checks": ["error_rate <= 0.5"], "min_requests": 1}
}


class KilledError(BaseException):
    """As `kill -9`: no handler of ours sees it."""


class Dies:
    """`ports.rollout.LiveMetrics` at whose first question the process ends."""

    def read(self, *_):
        raise KilledError


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Two releases in staging; production serves nothing yet."""
    base = tmp_path_factory.mktemp("template")
    with serving() as standin, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_FIXTURE", str(FIXTURE))
        site = PaperCluster(base, standin).make()
        for factor in ("0.81", "0.82"):
            site.edit(factor)
            site.road()
    return base


@pytest.fixture
def site(template, tmp_path):
    """Version 1 serves in production."""
    shutil.copytree(template, tmp_path / "base", symlinks=True)
    with serving() as standin:
        site = PaperCluster(tmp_path / "base", standin)
        site.configure()
        site.stage("promote", version=1)
        yield site


def status(site):
    look = Look(dataclasses.replace(site.bench(), cluster_seconds=5.0), options=" --shared")
    look.read_ledger()
    return {line.environment: line for line in look.lines()}["production"]


def test_copies_are_counted_where_one_version_serves(site):
    line = status(site)
    assert (line.recorded, line.observed, line.state) == (1, 1, "2 of 2 ready")
    assert (line.warning, line.note) == ("", "")
    assert line.epoch == line.observed_epoch == site.pointer().epoch


def test_a_canary_under_way_has_its_share_and_step(site):
    site.configure(strategy=CANARY)
    with pytest.raises(KilledError):
        site.stage("promote", version=2, live=lambda _place: Dies())
    line = status(site)
    assert (line.recorded, line.observed) == (1, 1)
    assert line.state == "1 67 %, 2 33 % (canary, step 1 of 2)"
    assert line.warning == ""
    assert f"mmcicd-jenkins promote --model {MODEL} --env production --version 2 --shared" in line.note


def test_what_was_taken_back_without_the_ledger_names_reconcile(site):
    site.stage("promote", version=2)
    site.offline()
    line = status(site)
    assert (line.recorded, line.observed) == (2, 1)
    assert "by a decision that the ledger does not have" in line.warning
    assert f"mmcicd-jenkins reconcile --model {MODEL} --env production --shared" in line.warning


def test_what_was_cut_short_names_the_command_that_finishes_it(site):
    def target(place):
        real = site.bench().target(place)

        def switch(_order):
            raise KilledError

        real.switch = switch
        return real

    with pytest.raises(KilledError):
        site.stage("promote", version=2, target=target)
    line = status(site)
    assert "was cut short" in line.warning
    assert f"mmcicd-jenkins promote --model {MODEL} --env production --version 2 --shared" in line.warning
    site.stage("promote", version=2)
    assert status(site).warning == ""


class Silent:
    """`ports.watching.Counters` of pods that do not answer."""

    def read(self, *_):
        raise OutsideFailed("a pod that is ready does not give its metrics", why="nothing came in time")


def test_an_alarm_of_the_monitor_is_told_by_its_config_map(site):
    outcome = site.stage("monitor", "production", counters=lambda _place: Silent())
    assert outcome.detail["action"] == "alert"
    said = "errors and latency are not known: a pod that is ready does not give its metrics"
    assert said in site.standin.object("ConfigMap", f"{MODEL}-monitor", "ml")["data"]["said"]
    assert f"the monitor says of 1: {said}" in status(site).note
