"""What doctor makes of credentials: there, absent, hidden, or in the wrong hands."""

import pytest

from mmcicd_jenkins.checks import credentials

ZONES = credentials.Zones(url="https://j.example", ci="ml/ci", ops="ml/ops", above=("", "ml"))
SHARED = frozenset({"data", "registry", "source"})
NAMED = {"ci": {"source": "git-read"}, "ops": {"signing": "key", "ledger": "ledger-write"}}
GOOD = {"": (), "ml": (), "ml/ci": ("git-read",), "ml/ops": ("key", "ledger-write")}


def look(stores, named=NAMED):
    where = {"ops.signing": "mmcicd.yaml:20:5"}
    return list(credentials.ids(named, stores, ZONES, SHARED, where))


def test_everything_in_its_folder():
    assert [(f.severity, f.what) for f in look(GOOD)] == [("ok", "3 credentials")]


def test_what_is_missing_is_named_with_the_form_that_adds_it():
    found = next(f for f in look({**GOOD, "ml/ops": ("ledger-write",)}) if f.severity == "fail")
    assert found.what == "credential key (signing of ops) is not in ml/ops"
    assert "https://j.example/job/ml/job/ops/credentials/store/folder/domain/_/newCredentials" in found.fix
    assert found.where == "mmcicd.yaml:20:5"


@pytest.mark.parametrize("folder", ["", "ml", "ml/ci"])
def test_a_key_of_ops_that_a_branch_can_use_is_a_failure_wherever_it_lies(folder):
    stores = {**GOOD, folder: (*GOOD[folder], "key")}
    (found,) = [f for f in look(stores) if f.severity == "fail"]
    assert "every branch can use it" in found.what
    assert (folder or "Jenkins' own store") in found.what


def test_one_id_for_both_zones_is_a_failure():
    named = {"ci": {"ledger": "ledger"}, "ops": {"ledger": "ledger"}}
    found = [
        f
        for f in look({"": (), "ml": (), "ml/ci": None, "ml/ops": ("ledger",)}, named)
        if f.severity == "fail"
    ]
    assert len(found) == 1
    assert "named for ci as well" in found[0].what


def test_what_gives_no_more_rights_in_ops_may_lie_above_both():
    named = {"ci": {"registry": "push"}, "ops": {"registry": "push", "data-s3": "read"}}
    assert [f.severity for f in look({"": ("push", "read"), "ml": (), "ml/ci": (), "ml/ops": ()}, named)] == [
        "ok"
    ]


def test_a_store_that_cannot_be_seen_is_no_proof_of_absence():
    found = look({"": None, "ml": None, "ml/ci": None, "ml/ops": None})
    assert [f.severity for f in found] == ["warn", "warn"]
    assert "key, ledger-write" in found[1].what


def test_what_is_seen_counts_though_another_store_is_hidden():
    found = look({**GOOD, "": None})
    assert [f.severity for f in found] == ["ok"]
