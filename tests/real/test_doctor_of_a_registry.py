"""What `doctor` says of a real registry to accounts that may more or less; nothing is left there."""

import pytest
import registry
import registry_tokens

from mmcicd_jenkins.adapters.registry.client import Access
from mmcicd_jenkins.adapters.registry.look import Look
from mmcicd_jenkins.adapters.registry.tries import Patience
from mmcicd_jenkins.errors import OutsideFailed

pytestmark = [pytest.mark.real, registry.needs_registry]

LOGINS = {"ops": "ops-word", "reader": "reader-word"}


def rights(user, _repository, actions):
    allowed = {"ops": {"pull", "push", "delete"}, "reader": {"pull"}}.get(user, set())
    return [action for action in actions if action in allowed]


def look(running, user="", word="", *, ca=True):
    known = {"MMCICD_REGISTRY_USER": user, "MMCICD_REGISTRY_PASSWORD": word or LOGINS.get(user, "")}
    access = Access(
        running.host,
        {"HOME": "/nowhere", **known},
        ca=str(running.ca) if ca and running.ca else "",
        insecure=running.ca is None,
        patience=Patience(tries=1),
    )
    return Look(f"{running.host}/team", access)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    with registry_tokens.serve(folder / "tokens", logins=LOGINS, may=rights) as tokens:  # noqa: SIM117
        with registry.serve(folder / "registry", tls=True, tokens=tokens) as running:
            yield running


def test_one_who_may_everything(guarded):
    seen = look(guarded, "ops")
    assert seen.reach().startswith("ops (from MMCICD_REGISTRY_USER")
    assert [seen.may("mmcicd.ops", right) for right in ("read", "write", "delete")] == ["", "", ""]
    # The registry keeps an empty folder of what was called off.
    assert not [left for left in guarded.uploads("team/mmcicd.ops") if (left / "startedat").exists()]


def test_one_who_may_only_read(guarded):
    seen = look(guarded, "reader")
    assert seen.may("mmcicd.ops", "read") == ""
    for right in ("write", "delete"):
        assert seen.may("mmcicd.ops", right)
        assert LOGINS["reader"] not in seen.may("mmcicd.ops", right)


def test_nobody_and_a_wrong_password(guarded):
    assert look(guarded).may("mmcicd.ops", "write")
    assert look(guarded, "ops", "wrong").may("mmcicd.ops", "read")


def test_a_certificate_that_nobody_trusts(guarded):
    with pytest.raises(OutsideFailed) as error:
        look(guarded, "ops", ca=False).reach()
    assert "store.ca" in error.value.fix
    assert not error.value.retryable


def test_one_that_deletes_nothing_and_one_that_takes_nothing(tmp_path):
    with registry.serve(tmp_path / "a", deletes=False) as running:
        assert "switched off" in look(running).may("x", "delete")
    with registry.serve(tmp_path / "b", read_only=True) as running:
        assert look(running).may("x", "write")
        assert look(running).may("x", "read") == ""
