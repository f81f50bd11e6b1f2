import socket

import pytest
from faulty_proxy import LOSE_ANSWER, LOSE_REQUEST, SWALLOW, faulty_proxy
from ledger_support import bare_repository, git, git_daemon, open_ledger, proof, reserve_version, run_id

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.release.history import Who, reserve

WHO = Who(actor="ada", at="2026-01-02T03:04:05+00:00")


@pytest.fixture(params=["true", "false"], ids=["partial", "whole"])
def upstream(tmp_path, request):
    repository = bare_repository(tmp_path / "ledger.git")
    git(repository, "config", "uploadpack.allowFilter", request.param)
    with git_daemon(tmp_path) as address:
        yield f"{address}/ledger.git"


def reserving_blindly(run):
    """A decision that would write twice when asked twice: only the read-back can stop it."""
    return lambda snapshot: reserve(snapshot, run, WHO)[0]


@pytest.mark.parametrize(
    "faults", [(LOSE_ANSWER,), (LOSE_REQUEST,), (LOSE_REQUEST, LOSE_ANSWER), (LOSE_REQUEST, LOSE_REQUEST)]
)
def test_a_push_whose_answer_is_lost_is_written_exactly_once(upstream, faults):
    with faulty_proxy(upstream, *faults) as proxy:
        written = open_ledger(proxy.url).commit("m", reserving_blindly(run_id(1)))
        assert proxy.hit == list(faults)
    assert written.head.versions == 1
    assert open_ledger(upstream).snapshot("m") == written
    assert proof(upstream, "m").breaks == ()
    assert proof(upstream, "m").events == 1


def test_an_own_event_is_found_below_those_of_others(upstream):
    """The answer is lost and others write on before we look again."""
    with faulty_proxy(upstream, LOSE_ANSWER) as proxy:
        ledger = open_ledger(proxy.url)
        honest = ledger._place.swap

        def swap_and_let_another_write(*arguments):
            answer = honest(*arguments)
            reserve_version(open_ledger(upstream), "m", run_id(2))
            return answer

        ledger._place.swap = swap_and_let_another_write
        written = ledger.commit("m", reserving_blindly(run_id(1)))
    assert written.head.versions == 2
    assert proof(upstream, "m").events == 2
    assert open_ledger(upstream).version_of_run("m", run_id(1)) == 1


def test_when_the_budget_ends_on_a_lost_answer_the_error_says_that_it_is_not_known(upstream):
    with faulty_proxy(upstream, *[LOSE_REQUEST] * 50) as proxy:
        with pytest.raises(OutsideFailed, match="not known") as caught:
            open_ledger(proxy.url, budget_seconds=1.0).commit("m", reserving_blindly(run_id(1)))
        assert caught.value.retryable
        assert caught.value.exit_code == 5
    assert open_ledger(upstream).snapshot("m").head.seq == 0


def test_a_server_that_never_answers_ends_by_the_deadline(upstream):
    with faulty_proxy(upstream, SWALLOW) as proxy:
        ledger = open_ledger(proxy.url, budget_seconds=1.0, call_seconds=0.5)
        for ask in (lambda: ledger.snapshot("m"), lambda: ledger.commit("m", reserving_blindly(run_id(1)))):
            with pytest.raises(OutsideFailed) as caught:
                ask()
            assert caught.value.retryable
            assert caught.value.why == "no answer in time"
        assert len(proxy.hit) >= 2


@pytest.mark.parametrize("scheme", ["git", "http", "ssh"])
def test_an_unreachable_server_is_told_as_one(scheme):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        url = f"{scheme}://ada:hunter2secret@127.0.0.1:{port}/l.git"
        if scheme == "git":
            url = f"git://127.0.0.1:{port}/l.git"
        with pytest.raises(OutsideFailed) as caught:
            open_ledger(url, budget_seconds=5.0).commit("m", reserving_blindly(run_id(1)))
    assert caught.value.retryable
    assert "hunter2" not in str(caught.value.to_json())
    assert f"127.0.0.1:{port}" in caught.value.where


def test_a_name_that_does_not_resolve_is_told_as_one():
    with pytest.raises(OutsideFailed) as caught:
        open_ledger("git://nowhere.invalid/l.git", budget_seconds=5.0).snapshot("m")
    assert caught.value.retryable
