"""What `doctor` reads off a controller, on the stand-in and on a real one.

We test these: who we are, plugins with and without the right to list them, agents and labels, rights in a folder that is
there and in one that is not, credentials, how files of users are served, addresses that services call.
"""

import pytest

from mmcicd_jenkins.adapters.jenkins.look import Look
from mmcicd_jenkins.adapters.jenkins.rights import Rights


@pytest.fixture
def look(house) -> Look:
    return Look(house.server)


@pytest.fixture
def rights(house) -> Rights:
    return Rights(house.server)


def test_the_controller_says_its_version_its_address_and_its_time(look, house) -> None:
    found = look.controller()
    assert found.version.startswith("2.")
    assert found.account == house.account.user
    assert found.url.startswith("http")
    assert found.ahead_seconds is not None
    assert not found.quieting_down


def test_plugins_are_active_with_a_version_or_missing(look) -> None:
    found = look.plugins(["git", "cloudbees-folder", "nobody-has-this"])
    assert found["git"].state == "active"
    assert found["git"].version
    assert found["nobody-has-this"].state == "missing"


def test_files_of_a_plugin_tell_whether_it_is_there(look) -> None:
    assert look._tells_of_files()
    assert look._plugin_by_its_files("git").state == "present"
    assert look._plugin_by_its_files("nobody-has-this").state == "missing"


def test_a_label_has_the_agents_that_carry_it(look) -> None:
    found = look.label("built-in")
    assert [node.executors > 0 for node in found.nodes] == [True]
    assert "built-in" in {label for node in look.nodes() for label in node.labels}


def test_a_label_that_nobody_carries_has_no_agent_and_no_cloud(look) -> None:
    found = look.label("nobody carries this, éh?")
    assert (found.nodes, found.clouds) == ((), ())


def test_clouds_are_listed_to_who_may_see_them(look) -> None:
    assert look.clouds() is not None


def test_a_folder_tells_what_may_be_done_in_it(rights, house) -> None:
    found = rights.folder(house.folder)
    assert (found.exists, found.create, found.read_config) == (True, True, True)
    assert not rights.folder(f"{house.folder}/nowhere").exists
    assert rights.folder("").create


def test_a_folder_without_credentials_has_none_and_one_that_is_not_there_as_well(rights, house) -> None:
    assert rights.credentials(house.folder) == ()
    assert rights.credentials(f"{house.folder}/nowhere") == ()
    assert rights.credentials("") is not None


def test_files_of_users_are_served_under_a_policy(rights) -> None:
    found = rights.served()
    assert found is not None
    assert found.own_domain or "default-src" in found.policy


def test_security_is_told_to_administrators(rights) -> None:
    found = rights.security()
    assert found.pending_approvals is not None
    assert found.interpolation in {"warn", "fail", "ignore"}


def test_the_address_that_git_servers_call_answers_to_nobody_and_starts_nothing(rights) -> None:
    assert rights.listens("git/notifyCommit") in {200, 401}
    assert rights.listens("nobody-listens-here/") in {403, 404}
