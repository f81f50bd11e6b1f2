"""Rules about a running server on a paper repository: a changed one judges what was measured; measured is once."""

from pathlib import Path

import pytest
from paper import MODEL, commit, git, make_repository, on_paper

from mmcicd_jenkins.cli.data import command
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.ports import GoldenResult
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages import run_stage
from mmcicd_jenkins.wiring import open_bench

GOLDEN = """\
printf '{"signature": "serving_default", "inputs": {"x": {"dtype": "float32", "shape": [null, 1]}}, "output": "y",
 "instances": [[1.0]], "outputs": [[2.0]], "tolerance": 0.001}' > "$MMCICD_EVALUATION_DIR/golden.json"
"""


class SteadyClient:
    """Every request takes five milliseconds and is answered as it should be."""

    def __init__(self):
        self.asked = 0

    def ask_golden(self, endpoint, model, golden):  # noqa: ARG002  the port's signature
        self.asked += 1
        asked = len(golden["instances"])
        return GoldenResult(asked=asked, matched_rest=asked, matched_grpc=asked, seconds=(0.005,) * asked)

    def metrics(self, endpoint):  # noqa: ARG002  the port's signature
        return ""


@pytest.fixture
def repo(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_FIXTURE", str(MODEL))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = make_repository(tmp_path / "repo")
    with (root / "evaluate.sh").open("a") as script:
        script.write(GOLDEN)

    monkeypatch.chdir(root)
    command.main(["update"], standalone_mode=False)
    commit(root, "begin")
    return root


def stages(root, client, *names):
    bench = open_bench(Path(root))
    ports = on_paper(bench, client=client)
    return [run_stage(name, bench.job("double"), ports) for name in names]


def gate(root, limit):
    config = root / "mmcicd.yaml"
    kept = [line for line in config.read_text().splitlines() if "latency" not in line]
    kept.insert(kept.index("    min_samples: 10"), f"      - latency_p99 <= {limit}")
    config.write_text("\n".join(kept) + "\n")
    git(root, "commit", "-qam", f"latency {limit}")


BEFORE = ("prepare", "test", "data", "train", "evaluate", "package")


def test_a_latency_rule_that_comes_later_is_measured_then_judged_anew_for_every_limit(repo):
    client = SteadyClient()
    stages(repo, client, *BEFORE, "verify", "deploy")
    assert client.asked == 2  # once by verify, once by deploy

    gate(repo, "0.1 ms")
    [refused] = stages(repo, client, "verify")
    assert refused.verdict is Verdict.FAILED
    assert refused.sentence.startswith("refused: latency_p99 5 ms, needs <= 0.1 ms")
    assert refused.exit_code == 4

    gate(repo, "40 ms")
    [passed] = stages(repo, client, "verify")
    assert (passed.verdict, passed.found) == (Verdict.PASSED, False)
    measured = client.asked

    gate(repo, "2 ms")
    [refused] = stages(repo, client, "verify")
    assert (refused.verdict, refused.found) == (Verdict.FAILED, True)
    assert client.asked == measured


def test_nothing_is_released_by_gates_of_yesterday(repo):
    client = SteadyClient()
    gate(repo, "40 ms")
    stages(repo, client, *BEFORE, "verify")
    gate(repo, "2 ms")
    with pytest.raises(InputError, match="has not passed verify"):
        stages(repo, client, "deploy")
