"""A whole repository's jobs on a controller, the stand-in or a real one: made, settled, edited, put right.

The one promise that only a real controller can prove: what it stores of our XML is what we wrote, so that the second
look finds nothing to do, even after Jenkins has written the item anew.
"""

import xml.etree.ElementTree as ET

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.render.job_items import Access, desired_items
from mmcicd_jenkins.render.job_sources import source_of
from mmcicd_jenkins.render.job_xml import parse, written
from mmcicd_jenkins.stages import jobs_sync as stage


@pytest.fixture
def sync(house, tmp_path):
    (tmp_path / "mmcicd.yaml").write_text(
        "models:\n"
        "  a: {train: 'true', evaluate: {command: 'true'}, gates: [accuracy >= 0.9]}\n"
        "  b: {train: 'true', evaluate: {command: 'true'}, gates: [accuracy >= 0.9]}\n"
        "environments:\n  staging: {kind: local}\n  production: {kind: local, approval: {by: [ml-approvers]}}\n"
        f"jenkins: {{folder: {house.folder}, source: {{git: '{tmp_path}/nothing.git'}}, "
        "permissions: {ci: [somebody]}}\n"
    )
    config = load_config(tmp_path, environ={})
    desired = desired_items(config, access=Access(configure=(house.account.user,), ci=("somebody",)))
    identity = source_of(config.jenkins, "").identity

    def run(**options):
        results = stage.apply(house.items, stage.look(house.items, desired, identity, **options))
        assert not [done.error for done in results if done.error]
        assert not [done.lost for done in results if done.lost]
        return {done.action.path.partition("/")[2]: done.action.do for done in results}

    return run


def test_what_is_made_once_needs_nothing_more(sync) -> None:
    assert len(sync()) == 13
    assert sync() == {}
    assert sync(deep=True) == {}


def test_an_edit_is_put_right_and_what_others_added_stays(house, sync) -> None:
    sync()
    path = f"{house.folder}/ops/a-promote"
    tree = parse(house.items.config(path))
    tree.find(".//hudson.plugins.git.BranchSpec/name").text = "refs/heads/evil"
    disabled = tree.find("disabled")
    if disabled is None:  # a controller writes it when it stores a job anew, not at once
        disabled = ET.SubElement(tree, "disabled")
    disabled.text = "true"
    house.items.update(path, written(tree))
    assert sync(deep=True) == {"ops/a-promote": "update"}
    after = parse(house.items.config(path))
    assert after.findtext(".//hudson.plugins.git.BranchSpec/name") == "refs/heads/main"
    assert after.findtext("disabled") == "true"
    assert sync(deep=True) == {}
