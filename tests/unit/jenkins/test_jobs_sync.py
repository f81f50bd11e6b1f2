"""Synchronising against a stand-in: what is sent, how often, and what becomes of a run that is cut short.

A second sync posts nothing; requests are bounded; folders first; what was edited is found when looked for; what
Jenkins drops is told; what was not ours stays; a failing job does not stop its neighbours; killed and run again.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.jenkins.account import Account
from mmcicd_jenkins.adapters.jenkins.items import Items
from mmcicd_jenkins.adapters.jenkins.server import Server
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.render.job_items import Access, desired_items
from mmcicd_jenkins.render.job_sources import source_of
from mmcicd_jenkins.render.job_xml import leaf, node, parse, written
from mmcicd_jenkins.stages import jobs_sync as stage

ACCESS = Access(configure=("admin",))
FOLDER = "com.cloudbees.hudson.plugins.folder.Folder"


class Sync:
    def __init__(self, standin, config) -> None:
        self.standin, self.config = standin, config
        self.items = Items(
            Server(Account(url=standin.url, user="admin", token=standin.accounts["admin"]), tries=0)
        )
        self.identity = source_of(config.jenkins, "").identity

    def look(self, **options):
        return stage.look(self.items, desired_items(self.config, access=ACCESS), self.identity, **options)

    def __call__(self, **options):
        """What was done, and the requests that it took."""
        self.standin.requests.clear()
        results = stage.apply(self.items, self.look(**options))
        return [(done.action.do, done.action.path) for done in results], self.standin.count()

    def xml(self, path: str) -> str:
        return self.items.config(path)


@pytest.fixture
def sync(standin, make_config):
    return Sync(standin, make_config("a", "b"))


def test_the_second_sync_posts_nothing(sync) -> None:
    done, requests = sync()
    assert len(done) == 14
    assert requests["POST"] == 14
    done, requests = sync()
    assert done == []
    assert requests == Counter(GET=4)
    assert sync.standin.item("ml/ci/a").scans == 1


def test_a_deep_look_costs_one_request_for_each_item(sync) -> None:
    sync()
    done, requests = sync(deep=True)
    assert done == []
    assert requests["GET"] == 4 + 13  # the folder above both is everybody's


def test_a_new_job_costs_two_requests(sync) -> None:
    _, requests = sync()
    assert requests["GET"] + requests["POST"] <= 2 * 14 + 4


def test_folders_are_made_before_what_is_in_them(sync) -> None:
    sync()
    created = [path for method, path, _ in sync.standin.requests if method == "POST"]
    assert [path.partition("?name=")[2] for path in created[:3]] == ["ml", "ci", "ops"]


def test_what_was_edited_on_jenkins_is_found_by_a_deep_look_alone(sync) -> None:
    sync()
    edited = sync.xml("ml/ops/a-promote").replace("refs/heads/main", "refs/heads/evil")
    sync.items.update("ml/ops/a-promote", edited)
    assert sync()[0] == []
    assert sync(deep=True)[0] == [("update", "ml/ops/a-promote")]
    assert "refs/heads/main" in sync.xml("ml/ops/a-promote")
    assert sync(deep=True)[0] == []


def test_a_change_in_the_file_posts_the_jobs_that_it_changes(sync, make_config) -> None:
    sync()
    sync.config = make_config(
        "a", "b", jenkins="folder: ml, source: {git: 'https://git.example/a.git'}, main: trunk"
    )
    done, _ = sync()
    assert {path for _, path in done} == {
        *(f"ml/ops/{m}-{kind}" for m in "ab" for kind in ("release", "promote", "monitor")), "ml/ci/retrain-all",
    }  # fmt: skip
    assert sync.standin.item("ml/ci/a").scans == 1


def test_what_others_put_there_survives_an_update(sync, make_config) -> None:
    sync()
    tree = parse(sync.xml("ml/ops"))
    tree.find("properties").append(node("com.cloudbees.plugins.credentials.Store", leaf("secret", "{AQ}")))
    tree.find("folderViews").append(node("views", node("hudson.model.ListView")))
    sync.items.update("ml/ops", written(tree))
    sync.config = make_config("a", "b", more="hooks: {}\n")
    edited = sync.xml("ml/ops").replace("Build:ml-oncall", "Configure:mallory")
    sync.items.update("ml/ops", edited)
    assert sync(deep=True)[0] == [("update", "ml/ops")]
    after = parse(sync.xml("ml/ops"))
    assert after.findtext(".//secret") == "{AQ}"
    assert after.find(".//hudson.model.ListView") is not None
    assert "mallory" not in sync.xml("ml/ops")


def test_what_is_not_ours_is_left_alone_until_it_is_adopted(sync) -> None:
    sync.items.create("ml", written(node(FOLDER)))
    sync.items.create("ml/ops", written(node(FOLDER, leaf("description", "by hand"))))
    by_hand = "<flow-definition><description>mine</description></flow-definition>"
    sync.items.create("ml/ops/a-promote", by_hand)
    done, _ = sync()
    assert {"ml/ops", "ml/ops/a-promote"}.isdisjoint(path for _, path in done)
    assert sync.standin.item("ml/ops/a-promote").description == "mine"
    doubtful = {a.path: a.do for a in sync.look().actions if a.do in {"keep", "refuse"}}
    assert doubtful == {"ml/ops": "keep", "ml/ops/a-promote": "refuse"}
    assert {path for _, path in sync(adopt=True)[0]} == {"ml/ops", "ml/ops/a-promote"}
    assert sync()[0] == []


def test_what_jenkins_drops_is_told_with_the_plugin_that_is_missing(sync, make_config) -> None:
    sync.standin.items.plugins.discard("matrix-auth")
    results = stage.apply(sync.items, sync.look())
    lost = {done.action.path: [d.plugin for d in done.lost] for done in results if done.lost}
    assert lost == {"ml/ops": ["matrix-auth"]}


def test_a_job_that_fails_does_not_stop_its_neighbours(sync) -> None:
    sync()
    for name in ("a-promote", "b-promote"):
        sync.items.delete(f"ml/ops/{name}")
    sync.standin.faults["/job/ml/job/ops/job/a-promote/config.xml"] = [500]
    results = stage.apply(sync.items, sync.look())
    assert [(d.action.path, d.error is None) for d in results] == [
        ("ml/ops/a-promote", False),
        ("ml/ops/b-promote", True),
    ]
    assert sync()[0] == []


def test_a_folder_that_cannot_be_made_ends_it(sync) -> None:
    sync.standin.readers.add("admin")
    with pytest.raises(OutsideFailed, match="may not"):
        stage.apply(sync.items, sync.look())
    assert sync.standin.count()["POST"] == 1


def test_a_controller_that_goes_away_ends_it(sync) -> None:
    sync()
    sync.items.delete("ml/ops/a-promote")
    sync.standin.faults["/job/ml/job/ops/createItem"] = [503]
    with pytest.raises(OutsideFailed, match="503"):
        stage.apply(sync.items, sync.look())


def test_two_at_once_make_each_job_once(sync) -> None:
    first, second = sync.look(), sync.look()
    assert all(done.error is None for done in stage.apply(sync.items, first))
    assert all(done.error is None for done in stage.apply(sync.items, second))


def test_only_our_jobs_that_are_not_wanted_are_pruned(sync, make_config) -> None:
    sync()
    sync.items.create("ml/ops/by-hand", "<flow-definition/>")
    sync.config = make_config("a")
    unwanted = stage.to_prune(sync.items, desired_items(sync.config), sync.identity)
    assert set(unwanted) == {
        "ml/ci/b",
        *(f"ml/ops/b-{kind}" for kind in ("monitor", "promote", "release", "rollback")),
    }
    stage.prune(sync.items, unwanted)
    assert set(sync.standin.item("ml/ops").children) == {"by-hand", *(f"a-{k}" for k in ("monitor", "promote", "release", "rollback"))}  # fmt: skip
    assert stage.to_prune(sync.items, desired_items(sync.config), sync.identity) == ()


@pytest.mark.parametrize(
    "place", ["jobs.before-write:1", "jobs.after-write:2", "jobs.before-write:7", "jobs.after-write:9"]
)
def test_killed_anywhere_the_same_command_goes_on(sync, place: str, tmp_path: Path) -> None:
    variables = {
        **os.environ, "MMCICD_JENKINS_URL": sync.standin.url, "MMCICD_JENKINS_USER": "admin",
        "MMCICD_JENKINS_TOKEN": sync.standin.accounts["admin"],
    }  # fmt: skip
    command = [sys.executable, "-m", "mmcicd_jenkins", "jobs", "sync"]
    killed = {**variables, "MMCICD_TESTING": "1", "MMCICD_FAILPOINTS": f"{place}=kill"}
    assert (
        subprocess.run(command, cwd=tmp_path, env=killed, check=False, capture_output=True).returncode == -9
    )
    done = subprocess.run(command, cwd=tmp_path, env=variables, check=True, capture_output=True, text=True)
    assert "created" in done.stderr
    assert sync(deep=True)[0] == []
    assert len(sync.standin.item("ml/ops").children) == 8
