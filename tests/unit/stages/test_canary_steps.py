"""The steps of a canary on paper: forward, failed, inconclusive, error, taken back, killed anywhere and gone on with.

Aspects: copies of each step, what is told, that stable's fence is claimed first, limits, what stays and what goes after
each outcome, traffic that counts on after a kill, and that the same command converges from every place.
"""

from pathlib import Path
from typing import Any

import pytest
from canary_paper import Flow, Killed, Paper, again, ports_of

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.errors import GateRefused, Inconclusive, OutsideFailed, Superseded
from mmcicd_jenkins.failpoints import FAILPOINTS
from mmcicd_jenkins.ports import Finished, Switch
from mmcicd_jenkins.release.canary_notes import from_text
from mmcicd_jenkins.stages.canary_steps import Course, course_of, has_passed, run_steps

CONFIG = """\
models:
  churn:
    data: {rows: {url: rows.csv, label: y, test_size: 0.3}}
    train: python train.py
    evaluate: binary
    gates: [accuracy >= 0.5]
environments:
  staging: {kind: kubernetes, cluster: "https://k8s.example:6443", namespace: ml-staging}
  production:
    kind: kubernetes
    cluster: https://k8s.example:6443
    namespace: ml
    replicas: 9
    strategy:
      canary:
        steps: [10% for 15m, 25% for 30m, 50% for 30m]
"""
ORDER = Switch(model="churn", version=8, epoch=5, op_id="op", layers=())


class Case:
    """A configuration with its course."""

    def __init__(self, folder: Path, more: str = "") -> None:
        (folder / "mmcicd.yaml").write_text(CONFIG + more)
        (folder / "train.py").write_text("")
        (folder / "requirements.txt").write_text("")
        (folder / "rows.csv").write_text("x,y\n1,0\n")
        self.config = load_config(folder / "mmcicd.yaml", environ={})
        self.place = self.config.environments["production"]

    def course(self, **more: Any) -> Course:
        return Course(order=ORDER, place=self.place, stable=7, **more)

    def job(self) -> Any:
        from mmcicd_jenkins.config.lock import Lock
        from mmcicd_jenkins.stages.context import Job
        from mmcicd_jenkins.stages.workspace import Workspace

        root = self.config.root
        return Job(
            config=self.config, lock=Lock(), model=self.config.models["churn"], actor="ann", builder="here",
            workspace=Workspace(root=root / ".mmcicd"), environment="production",
        )  # fmt: skip

    def run(self, paper: Paper, **more: Any) -> None:
        run_steps(self.course(**more), self.job(), ports_of(paper))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def kept(paper: Paper) -> Any:
    assert paper.held is not None
    return from_text(paper.held["notes"])


def test_every_step_passes(case: Case) -> None:
    paper = Paper()
    case.run(paper)
    assert [call for call in paper.calls if call.startswith("advance")] == [
        "advance 0 1",
        "advance 1 3",
        "advance 2 9",
    ]
    assert paper.calls[-1] == "note passed"
    assert has_passed(case.course(), ports_of(paper))
    final = [line for line in paper.lines if line.endswith(": passed")]
    assert final == [
        "canary 10 %, step 1 of 3: errors 0 % (stable 0 %), p99 29.7 ms (29.7 ms), 90,000 requests: passed",
        "canary 25 %, step 2 of 3: errors 0 % (stable 0 %), p99 29.7 ms (29.7 ms), 180,000 requests: passed",
        "canary 50 %, step 3 of 3: errors 0 % (stable 0 %), p99 29.7 ms (29.7 ms), 180,000 requests: passed",
    ]
    assert any("14 m left" in line for line in paper.lines)


def test_errors_end_it_early_and_remove_it(case: Case) -> None:
    paper = Paper(flows={"stable": Flow(errors=0.0002), "canary": Flow(errors=0.05)})
    with pytest.raises(GateRefused, match="version 8 failed as a canary; 7 serves on") as caught:
        case.run(paper)
    assert "error_rate 0.050, needs <= 0.001" in caught.value.why
    assert "errors 5 % (stable 0.02 %)" in caught.value.why
    assert paper.held is None
    assert paper.calls[-2:] == ["note failed", "remove"]
    assert (paper.now - Paper().now).total_seconds() < 200


def test_one_bad_look_says_how_many_end_it(case: Case) -> None:
    paper = Paper(flows={"stable": Flow(errors=0.0002), "canary": Flow(errors=0.05)})
    with pytest.raises(GateRefused):
        case.run(paper)
    assert any("(look 1 of 3 in a row that end it)" in line for line in paper.lines)
    assert "in a row" not in paper.lines[-1]


def test_slow_answers_end_it(case: Case) -> None:
    paper = Paper(flows={"stable": Flow(), "canary": Flow(seconds=0.3)})
    with pytest.raises(GateRefused) as caught:
        case.run(paper)
    assert "latency_p99" in caught.value.why


def test_no_traffic_is_a_question_and_the_canary_stays(case: Case) -> None:
    paper = Paper(flows={"stable": Flow(rate=0), "canary": Flow(rate=0)})
    with pytest.raises(Inconclusive, match="0 of 1,000 requests") as told:
        case.run(paper)
    # As a person types it: without --shared it would be another machine's production, without a version another one.
    about = "--model churn --env production"
    assert f"mmcicd-jenkins promote --shared {about} --version 8 waits once more" in told.value.fix
    assert f"mmcicd-jenkins stage canary {about} --answer 'take back' ends it" in told.value.fix
    assert paper.held is not None
    assert paper.calls[-1] == "note asked"
    assert not has_passed(case.course(), ports_of(paper))


def test_asked_again_it_holds_once_more_and_the_traffic_counts_on(case: Case) -> None:
    """At night: 900 requests in the first quarter of an hour, more than a thousand in two."""
    paper = Paper(flows={"stable": Flow(rate=10), "canary": Flow(rate=1)})
    with pytest.raises(Inconclusive, match="900 of 1,000 requests"):
        case.run(paper)
    began = paper.now
    case.run(again(paper))
    told = [line for line in paper.lines if "step 1 of 3" in line and line.endswith("requests: passed")]
    assert told
    assert paper.held is not None
    assert paper.now > began


def test_a_person_may_wait_longer_than_a_step(case: Case) -> None:
    paper = Paper(flows={"stable": Flow(rate=10), "canary": Flow(rate=0.2)})
    with pytest.raises(Inconclusive):
        case.run(paper)
    case.run(again(paper), patience_seconds=8 * 3600)
    assert has_passed(case.course(), ports_of(paper))


def test_patience_ends(case: Case) -> None:
    paper = Paper(flows={"stable": Flow(rate=10), "canary": Flow(rate=0)})
    with pytest.raises(Inconclusive):
        case.run(paper, patience_seconds=3600)
    assert 3600 <= (paper.now - Paper().now).total_seconds() <= 3600 + 120


def test_a_lost_answer_now_and_then_is_nothing(case: Case) -> None:
    def sometimes(paper: Paper) -> None:
        paper.lost = int(paper.now.minute % 5 == 0)

    paper = Paper(on_look=sometimes)
    case.run(paper)
    assert has_passed(case.course(), ports_of(paper))
    assert any("error: Prometheus does not answer: nothing came in time" in line for line in paper.lines)


def test_what_cannot_be_judged_serves_nobody(case: Case) -> None:
    paper = Paper(lost=1000)
    with pytest.raises(OutsideFailed, match="cannot be judged; 7 serves on") as caught:
        case.run(paper)
    assert "Prometheus" in caught.value.why
    assert paper.held is None


def test_a_copy_that_is_started_again_ends_it(case: Case) -> None:
    def crashes(paper: Paper) -> None:
        paper.restarts = 1 if paper.now.minute >= 5 else 0

    paper = Paper(on_look=crashes)
    with pytest.raises(GateRefused) as caught:
        case.run(paper)
    assert "started again" in caught.value.why


def test_one_that_does_not_come_up_is_told(case: Case) -> None:
    with pytest.raises(OutsideFailed, match="server dies"):
        case.run(Paper(comes_up=False))


def test_a_rollback_meanwhile_ends_it(case: Case) -> None:
    """Another command claims stable with a newer epoch and removes the canary."""

    def rolls_back(paper: Paper) -> None:
        if paper.now.minute >= 7 and paper.held:
            paper.remove("churn", 6, "rollback")

    paper = Paper(on_look=rolls_back)
    with pytest.raises(Superseded):
        case.run(paper)
    assert paper.held is None
    with pytest.raises(Superseded):
        case.run(again(paper))
    assert paper.held is None


def test_the_share_is_of_the_copies_that_serve(case: Case) -> None:
    """Autoscaling has made eighteen of nine: a tenth of twenty is two."""
    paper = Paper(stable=18)
    case.run(paper)
    assert [call for call in paper.calls if call.startswith("advance")] == [
        "advance 0 2",
        "advance 1 6",
        "advance 2 18",
    ]


PLACES = [
    "advance 0 1", "note begun", "advance 1 3", "advance 2 9", "note passed", "note failed", "remove",
]  # fmt: skip


@pytest.mark.parametrize("bad", [False, True], ids=["good", "bad"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_anywhere_the_same_command_converges(case: Case, place: str, bad: bool, after: bool) -> None:
    flows = {"stable": Flow(), "canary": Flow(errors=0.05 if bad else 0.0)}
    undisturbed = Paper(flows=dict(flows))
    expected = _outcome(case, undisturbed)
    seen: list[str] = []

    def dies(call: str) -> None:
        if seen and after:
            raise Killed
        if call == place and not seen:
            seen.append(call)
            if not after:
                raise Killed

    paper = Paper(flows=dict(flows), on_call=dies)
    try:
        first = _outcome(case, paper)
    except Killed:
        paper = again(paper)
        first = _outcome(case, paper)
    assert first == expected
    assert (paper.held is None) == (undisturbed.held is None)
    if not bad:
        assert has_passed(case.course(), ports_of(paper))


def _outcome(case: Case, paper: Paper) -> str:
    try:
        case.run(paper)
    except GateRefused as e:
        return e.what
    return "passed"


def test_a_kill_in_a_hold_does_not_begin_the_step_anew(case: Case) -> None:
    def dies(paper: Paper) -> None:
        if paper.now.minute >= 10:
            raise Killed

    paper = Paper(on_look=dies)
    with pytest.raises(Killed):
        case.run(paper)
    case.run(again(paper))
    first = next(line for line in paper.lines if "step 1 of 3" in line and line.endswith("requests: passed"))
    assert "90,000 requests" in first


@pytest.mark.parametrize(
    ("status", "error"),
    [(0, None), (4, GateRefused), (6, Inconclusive), (1, OutsideFailed), (127, OutsideFailed)],
)
def test_a_command_of_the_teams_own(tmp_path: Path, status: int, error: type[Exception] | None) -> None:
    case = Case(tmp_path, "        checks: []\n        command: ./ops/check.sh\n")
    paper = Paper(finished=Finished(status=status, last_lines=("noise", "41 complaints"), seconds=1.0))
    if error is None:
        case.run(paper)
    else:
        with pytest.raises(error) as caught:
            case.run(paper)
        assert "41 complaints" in f"{caught.value} {caught.value.why}"  # type: ignore[attr-defined]
    first = paper.asked[0]
    assert first["MMCICD_MODEL"] == "churn"
    assert (first["MMCICD_VERSION"], first["MMCICD_STABLE_VERSION"]) == ("8", "7")
    assert (first["MMCICD_CANARY_STEP"], first["MMCICD_CANARY_SHARE"]) == ("1", "0.1000")
    assert first["MMCICD_ENVIRONMENT"] == "production"


def test_a_command_is_asked_only_when_the_rest_passed(tmp_path: Path) -> None:
    case = Case(tmp_path, "        command: ./ops/check.sh\n")
    paper = Paper(flows={"stable": Flow(rate=0), "canary": Flow(rate=0)})
    with pytest.raises(Inconclusive):
        case.run(paper)
    assert paper.asked == []


@pytest.mark.parametrize(
    ("action", "serving", "there", "expected"),
    [
        ("promote", 7, 7, True),
        ("deploy", 7, 7, True),
        ("rollback", 7, 7, False),
        ("restore", 7, 7, False),
        ("promote", None, None, False),
        ("promote", 8, 8, False),
        ("promote", 7, None, False),
        ("promote", 7, 8, False),
    ],
)
def test_which_moves_have_a_canary(
    case: Case, action: str, serving: int | None, there: int | None, expected: bool
) -> None:
    paper = Paper(serving=there)
    course = course_of(ORDER, case.place, serving, action, ports_of(paper))
    assert (course is not None) is expected


def test_a_canary_that_passed_is_not_run_again(case: Case) -> None:
    paper = Paper()
    case.run(paper)
    assert course_of(ORDER, case.place, 7, "promote", ports_of(paper)) is None


def test_a_rolling_place_has_none(case: Case) -> None:
    assert course_of(ORDER, case.config.environments["staging"], 7, "promote", ports_of(Paper())) is None


def test_every_failpoint_of_a_canary_is_reached(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("MMCICD_TESTING", "1")
    monkeypatch.setenv("MMCICD_FAILPOINTS_SEEN", str(seen))
    case.run(Paper())
    with pytest.raises(GateRefused):
        case.run(Paper(flows={"stable": Flow(), "canary": Flow(errors=0.5)}))
    with pytest.raises(Inconclusive):
        case.run(Paper(flows={"stable": Flow(rate=0), "canary": Flow(rate=0)}))
    assert set(seen.read_text().split()) == {name for name in FAILPOINTS if name.startswith("canary.")}
