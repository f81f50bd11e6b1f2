"""What `verify` says of memory and of servers that die, on a paper repository whose server tells what it uses.

We test: a rule about memory passes, refuses, is undecided without a container; what an embedded server measured does not
decide it later; a server that dies under requests is refused with its own words; the log's path is told.
"""

import pytest
from paper import FileTarget, commit, git, on_paper
from test_latency_gates import BEFORE, SteadyClient, repo  # noqa: F401 - a fixture

from mmcicd_jenkins.adapters.embedded_trial import EmbeddedTrial
from mmcicd_jenkins.errors import GateRefused, OutsideFailed
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages import run_stage
from mmcicd_jenkins.wiring import open_bench

MIB = 2**20


class ToldTrial(EmbeddedTrial):
    """A container on paper: `used` bytes, and `died` says why it is gone."""

    def __init__(self, target, folder, used, died=""):
        super().__init__(target, folder, "paper")
        self.used, self.died, self.stopped = used, died, 0

    @property
    def how(self):
        return "in a container, paper" if self.used else super().how

    def memory(self):
        return self.used

    def death(self):
        return self.died

    def stop(self):
        self.stopped += 1
        return super().stop()


class DeafClient(SteadyClient):
    def ask_golden(self, endpoint, model, golden):  # noqa: ARG002  the port's signature
        raise OutsideFailed("the model server does not answer", retryable=True)


def run(root, *names, used=0, died="", client=None):
    bench = open_bench(root)
    ports = on_paper(bench, client=client or SteadyClient())
    made = []

    def throwaway(folder, runnable):
        made.append(ToldTrial(FileTarget(folder / "target.json", bench.store), folder, used, died))
        return made[-1]

    ports.throwaway = throwaway
    outcomes = [run_stage(name, bench.job("double"), ports) for name in names]
    return outcomes[-1], made


def rule(root, text):
    config = root / "mmcicd.yaml"
    kept = [
        line for line in config.read_text().splitlines() if "memory" not in line and "latency" not in line
    ]
    kept.insert(kept.index("    min_samples: 10"), f"      - {text}")
    config.write_text("\n".join(kept) + "\n")
    git(root, "commit", "-qam", text)


def test_memory_is_judged_by_what_was_seen_and_judged_anew_without_a_server(repo):  # noqa: F811
    rule(repo, "memory <= 600 Mi")
    passed, _ = run(repo, *BEFORE, "verify", used=500 * MIB)
    assert (passed.verdict, passed.found) == (Verdict.PASSED, False)
    assert "500 MiB" in passed.sentence
    rule(repo, "memory <= 400 Mi")
    refused, made = run(repo, "verify", used=1)
    assert (refused.verdict, refused.found, made) == (Verdict.FAILED, True, [])
    assert refused.sentence.startswith("refused: memory 500 MiB, needs <= 400 MiB")


def test_without_a_container_memory_is_undecided(repo):  # noqa: F811
    rule(repo, "memory <= 600 Mi")
    undecided, _ = run(repo, *BEFORE, "verify")
    assert undecided.verdict is Verdict.INCONCLUSIVE
    assert "memory was not measured" in undecided.sentence


def test_what_an_embedded_server_measured_is_measured_again_for_memory(repo):  # noqa: F811
    rule(repo, "latency_p99 <= 1 s")
    assert run(repo, *BEFORE, "verify")[0].verdict is Verdict.PASSED
    rule(repo, "memory <= 600 Mi")
    passed, made = run(repo, "verify", used=100 * MIB)
    assert (passed.verdict, passed.found, len(made)) == (Verdict.PASSED, False, 1)
    # And that record decides the rules about time as well.
    rule(repo, "latency_p99 <= 1 s")
    again, made = run(repo, "verify")
    assert (again.verdict, again.found, made) == (Verdict.PASSED, True, [])


def test_a_server_that_dies_under_requests_is_refused(repo):  # noqa: F811
    died = "it needs more memory than serving.memory gives it (2 Gi)"
    made = []
    with pytest.raises(GateRefused, match=r"was refused: it needs more memory") as error:
        made = run(repo, *BEFORE, "verify", died=died, client=DeafClient())[1]
    assert error.value.where.endswith("serving.log")
    assert made == []
    passed, _ = run(repo, "verify", used=MIB)
    assert (passed.verdict, passed.found) == (Verdict.PASSED, False)


def test_a_server_that_lives_and_does_not_answer_is_a_failure_outside(repo):  # noqa: F811
    with pytest.raises(OutsideFailed, match="does not answer"):
        run(repo, *BEFORE, "verify", client=DeafClient())


def test_the_server_is_stopped_however_it_ends(repo):  # noqa: F811
    commit(repo, "another", factor_txt="0.9")
    _, (trial,) = run(repo, *BEFORE, "verify", used=MIB)
    assert trial.stopped == 2  # what a killed one left, and its own
