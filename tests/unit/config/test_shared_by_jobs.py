"""On Jenkins every job has a workspace of its own: what jobs must share is warned of when it would lie inside."""

import pytest

from mmcicd_jenkins.config.load import load
from mmcicd_jenkins.errors import ConfigInvalid

MODEL = "models: {m: {train: ./t, evaluate: {command: ./e}}}\n"
SHARED = "store: {path: /srv/store}\nledger: ssh://git@h/ledger.git\nenvironments: {production: {folder: /srv/p}}\n"


def warned(tmp_path, text):
    (tmp_path / "mmcicd.yaml").write_text(MODEL + text)
    (tmp_path / "t").touch()
    return [p.what for p in load(tmp_path, environ={}).warnings if "on Jenkins" in p.what]


def test_without_jenkins_nothing_is_shared_by_jobs(tmp_path):
    assert warned(tmp_path, "") == []


def test_store_ledger_and_local_environments_are_told(tmp_path):
    told = warned(
        tmp_path, "jenkins: {url: https://j}\nenvironments: {staging: {}, production: {folder: serve}}\n"
    )
    assert {what.split(":")[0] for what in told} == {
        "store", "ledger", "environments.staging", "environments.production",
    }  # fmt: skip


@pytest.mark.parametrize(
    "ledger", ["ssh://git@h/l.git", "git@h:ml/l.git", "/srv/l.git", "https://h/l.git", "{url: /srv/l.git}"]
)
def test_what_all_jobs_reach_is_not_warned_of(tmp_path, ledger):
    text = SHARED.replace("ssh://git@h/ledger.git", ledger)
    assert warned(tmp_path, "jenkins: {url: https://j}\n" + text) == []


def test_a_registry_beside_this_machines_own_ledger_is_warned_of(tmp_path):
    def told(text):
        (tmp_path / "mmcicd.yaml").write_text(MODEL + text)
        (tmp_path / "t").touch()
        return [p.what for p in load(tmp_path, environ={}).warnings if "own ledger" in p.what]

    registry = "store: {registry: r.example/ml}\n"
    assert len(told(registry)) == 1
    assert told(registry + "ledger: /srv/ledger.git\n") == []
    assert told("ledger: ssh://git@h/l.git\n" + registry) == []


@pytest.mark.parametrize("cron", ["H 4 * * 1", "@weekly", "H(0-29)/10 * * * *", "H H 1,15 1-11 *"])
def test_a_schedule_of_jenkins_is_taken(tmp_path, cron):
    (tmp_path / "mmcicd.yaml").write_text(MODEL + f'jenkins: {{retrain: "{cron}"}}\n')
    (tmp_path / "t").touch()
    assert load(tmp_path, environ={}).config.jenkins.retrain == cron


@pytest.mark.parametrize("cron", ["weekly", "* * * *", "H 4 * * 1\\nevil", "1 2 3 4 5 6", ""])
def test_any_other_is_refused(tmp_path, cron):
    (tmp_path / "mmcicd.yaml").write_text(MODEL + f'jenkins: {{retrain: "{cron}"}}\n')
    (tmp_path / "t").touch()
    with pytest.raises(ConfigInvalid, match=r"jenkins\.retrain"):
        load(tmp_path, environ={})


@pytest.mark.parametrize("url", ["not a url", "jenkins.acme.example", "https://", "ftp://j", "https://[::1"])
def test_what_is_no_address_of_a_jenkins_is_told(tmp_path, url):
    (tmp_path / "mmcicd.yaml").write_text(MODEL + f'jenkins: {{url: "{url}"}}\n')
    (tmp_path / "t").touch()
    with pytest.raises(ConfigInvalid, match=r"jenkins\.url: .* is not the address of a Jenkins"):
        load(tmp_path, environ={})


@pytest.mark.parametrize("url", ["https://", "ssh:///ledger.git", "https://[h/l.git"])
def test_an_address_without_a_host_is_told(tmp_path, url):
    (tmp_path / "mmcicd.yaml").write_text(MODEL + f'ledger: "{url}"\n')
    (tmp_path / "t").touch()
    with pytest.raises(ConfigInvalid, match="names no host"):
        load(tmp_path, environ={})
