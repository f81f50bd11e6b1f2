"""Starting, following and answering builds on a stand-in, with a clock that does not wait.

What is told; what is followed into; what is answered and what is not; how a result becomes an exit code; a branch
that Jenkins does not know yet; a controller that is away for a while; Ctrl-C ends only what was started here.
"""

from datetime import UTC, datetime, timedelta

import pytest
from jenkins_standin import Ask, Say, Script

from mmcicd_jenkins.adapters.jenkins.account import Account
from mmcicd_jenkins.adapters.jenkins.builds import Builds, Inputs
from mmcicd_jenkins.adapters.jenkins.items import Items
from mmcicd_jenkins.adapters.jenkins.server import Server
from mmcicd_jenkins.errors import InputError, Interrupted, OutsideFailed
from mmcicd_jenkins.ports.jenkins import BuildState, PendingInput, Question
from mmcicd_jenkins.stages import jobs_run as stage
from mmcicd_jenkins.stages.build_log import BuildLog
from mmcicd_jenkins.stages.jobs_answers import Answer, values_for

FOLDER = "<com.cloudbees.hudson.plugins.folder.Folder/>"
PIPELINE = "<flow-definition/>"
MULTIBRANCH = "<org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject/>"


def steps(*names: str) -> list[Say]:
    return [
        say
        for name in names
        for say in (
            Say(
                f"[Pipeline] stage\n[Pipeline] {{ ({name})\n[Pipeline] node\nRunning on gpu-2 in /home/x\n[Pipeline] {{\n"
            ),
            Say("[Pipeline] }\n[Pipeline] // node\n[Pipeline] }\n[Pipeline] // stage\n"),
        )
    ]


class Clock:
    """Time that passes by sleeping. `at` may do something at a certain sleep."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 24, tzinfo=UTC)
        self.sleeps = 0
        self.at = {}

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.time += timedelta(seconds=seconds)
        assert self.sleeps < 500, "it does not end"
        self.at.get(self.sleeps, lambda: None)()


class Audience:
    def __init__(self) -> None:
        self.told = []

    def begins(self, job, number, depth) -> None:
        self.told.append((depth, f"{job} #{number}"))

    def stage(self, name, seconds, agent, depth) -> None:  # noqa: ARG002  the audience's signature
        self.told.append((depth, f"{name} on {agent}" if agent else name))

    def waits(self, why) -> None:
        if why:
            self.told.append(("waits", why))

    def lines(self, lines) -> None:
        pass

    def asks(self, job, number, pending, *, for_us) -> None:
        self.told.append(
            ("asks" if not for_us else "asks us", f"{job} #{number} {pending.id} {pending.message}")
        )

    def answered(self, values) -> None:
        self.told.append(("answered", dict(values)))


class Desk:
    def __init__(self, standin, user: str = "admin") -> None:
        server = Server(Account(url=standin.url, user=user, token=standin.accounts[user]), tries=0)
        self.standin, self.clock, self.audience = standin, Clock(), Audience()
        self.items = Items(server)
        self.controls = stage.Controls(
            builds=Builds(server), inputs=Inputs(server), clock=self.clock, audience=self.audience
        )

    def job(self, path: str, script: Script, xml: str = PIPELINE) -> str:
        self.items.create(path, xml)
        self.standin.item(path).script = script
        return path

    def run(self, job: str, answer: Answer | None = None, **parameters: str) -> stage.Ended:
        return stage.follow(self.controls, stage.start(self.controls, job, parameters), answer)


@pytest.fixture
def desk(standin):
    made = Desk(standin)
    made.items.create("ml", FOLDER)
    return made


def test_a_build_is_told_by_its_stages(desk) -> None:
    desk.job("ml/job", Script([Say("noise\n"), *steps("Prepare", "Train")], description="staging serves 1"))
    ended = desk.run("ml/job")
    assert desk.audience.told == [(0, "ml/job #1"), (0, "Prepare on gpu-2"), (0, "Train on gpu-2")]
    assert (ended.exit_code, ended.state.description) == (0, "staging serves 1")


def test_builds_that_a_build_starts_are_followed_deeper(desk) -> None:
    desk.job("ml/release", Script(steps("Package")))
    begin = Say(
        "[Pipeline] stage\n[Pipeline] { (Release)\nScheduling project: ml » release\n"
        "Starting building: ml » release #1\n", starts="ml/release",
    )  # fmt: skip
    end = Say("[Pipeline] }\nScheduling project: ml » promote\n")
    desk.job("ml/ci", Script([begin, end]))
    ended = desk.run("ml/ci")
    assert desk.audience.told == [
        (0, "ml/ci #1"), (1, "ml/release #1"), (1, "Package on gpu-2"), (0, "Release"),
    ]  # fmt: skip
    assert ended.scheduled == ("ml/promote",)


def test_why_a_build_waits_is_told(desk) -> None:
    desk.job("ml/job", Script(queued=2))
    desk.run("ml/job")
    assert ("waits", "Waiting for next available executor") in desk.audience.told


def test_a_stage_that_is_skipped_is_not_told(desk) -> None:
    skipped = Say(
        '[Pipeline] stage\n[Pipeline] { (Train)\nStage "Train" skipped due to when conditional\n[Pipeline] }\n'
    )
    desk.job("ml/job", Script([skipped]))
    desk.run("ml/job")
    assert desk.audience.told == [(0, "ml/job #1")]


# --- questions

PROMOTE = Ask(
    "promote", "to production?", "alice", {"VERSION": ["8 | recall 0.83", "none | keep 7"], "REASON": ""}
)


def test_a_question_is_shown_once_and_waits_for_whom_it_asks(desk) -> None:
    desk.job("ml/promote", Script([PROMOTE, *steps("Promote")]))
    alice = Desk(desk.standin, "alice")
    desk.clock.at[3] = lambda: alice.controls.inputs.proceed(
        "ml/promote", 1, "promote", {"VERSION": "8 | recall 0.83"}
    )
    assert desk.run("ml/promote").exit_code == 0
    assert desk.audience.told == [
        (0, "ml/promote #1"), ("asks", "ml/promote #1 Promote to production?"), (0, "Promote on gpu-2"),
    ]  # fmt: skip


def test_it_is_answered_when_told_so(standin, desk) -> None:
    desk.job("ml/promote", Script([PROMOTE]))
    alice = Desk(standin, "alice")
    alice.run("ml/promote", Answer(value="8", reason="better"))
    values = {"VERSION": "8 | recall 0.83", "REASON": "better"}
    assert ("answered", values) in alice.audience.told
    assert standin.item("ml/promote").builds[1].answers == values


def test_who_may_not_answer_is_told_and_the_question_stands(standin, desk) -> None:
    desk.job("ml/promote", Script([PROMOTE]))
    with pytest.raises(InputError) as caught:
        desk.run("ml/promote", Answer(value="8", reason="better"))
    assert caught.value.why == "You need to be alice to submit this."
    assert standin.item("ml/promote").builds[1].asks


def test_no_aborts_the_build(standin, desk) -> None:
    desk.job("ml/promote", Script([PROMOTE]))
    assert Desk(standin, "alice").run("ml/promote", Answer(refuse=True)).exit_code == 130


def test_a_build_that_asks_again_is_not_answered_for_ever(standin, desk) -> None:
    again = Say("You started this promotion; another must approve.\n")
    desk.job("ml/promote", Script([PROMOTE, again, PROMOTE]))
    with pytest.raises(InputError, match="asks again") as caught:
        Desk(standin, "alice").run("ml/promote", Answer(value="8", reason="better"))
    assert "another must approve" in caught.value.why


def test_without_the_plugin_that_lists_questions_ours_is_known_by_its_id(standin, desk) -> None:
    standin.rest_api = False
    desk.job("ml/promote", Script([Ask("Promote", "?", "", {"VERSION": "", "REASON": ""})]))
    assert desk.run("ml/promote", Answer(value="8", reason="better")).exit_code == 0
    assert standin.item("ml/promote").builds[1].answers == {"VERSION": "8", "REASON": "better"}


CHOICE = Question(name="VERSION", choices=("8 | recall 0.83", "81 | recall 0.80", "none | keep 7"))


@pytest.mark.parametrize(
    ("value", "sent"), [("8", CHOICE.choices[0]), ("none", CHOICE.choices[2]), (CHOICE.choices[1],) * 2]
)
def test_a_choice_is_named_by_its_first_word(value: str, sent: str) -> None:
    pending = PendingInput(id="Promote", message="", questions=(CHOICE,))
    assert values_for(pending, Answer(value=value)) == {"VERSION": sent}


@pytest.mark.parametrize("value", ["", "9", "recall", "8 |"])
def test_what_is_no_choice_is_not_guessed(value: str) -> None:
    pending = PendingInput(id="Promote", message="", questions=(CHOICE,))
    with pytest.raises(InputError) as caught:
        values_for(pending, Answer(value=value))
    assert "none | keep 7" in caught.value.why


DECISION = Question(name="DECISION", choices=("Extend 1 h", "Extend 4 h", "Take back"))


def test_a_canary_that_does_not_decide_is_answered_with_a_comment() -> None:
    pending = PendingInput(id="Canary", message="", questions=(DECISION, Question(name="COMMENT")))
    assert values_for(pending, Answer(value="Extend 4 h", reason="it is night")) == {
        "DECISION": "Extend 4 h",
        "COMMENT": "it is night",
    }
    assert values_for(pending, Answer(value="Take")) == {"DECISION": "Take back", "COMMENT": ""}
    with pytest.raises(InputError) as caught:
        values_for(pending, Answer(value="Extend"))
    assert caught.value.fix == "--answer 'Extend 1 h'"


def test_every_question_gets_a_value_and_a_reason_is_required() -> None:
    questions = (
        Question(name="VERSION", default="8"),
        Question(name="REASON"),
        Question(name="OTHER", default="x"),
    )
    pending = PendingInput(id="Promote", message="", questions=questions)
    assert values_for(pending, Answer(reason="r")) == {"VERSION": "8", "REASON": "r", "OTHER": "x"}
    with pytest.raises(InputError, match="reason"):
        values_for(pending, Answer())


# --- outcomes


@pytest.mark.parametrize(
    ("result", "told", "description", "code"),
    [("SUCCESS", None, "", 0), ("SUCCESS", 3, "", 0), ("UNSTABLE", None, "", 4), ("UNSTABLE", 6, "", 6),
     ("UNSTABLE", None, "fraud: Inconclusive: 212 samples", 6), ("NOT_BUILT", None, "", 75), ("ABORTED", None, "", 130),
     ("FAILURE", None, "", 5), ("FAILURE", 3, "", 3), ("FAILURE", 7, "", 7), ("FAILURE", 8, "", 8), ("FAILURE", 42, "", 5),
     ("FAILURE", 0, "", 5)],
)  # fmt: skip
def test_a_result_is_an_exit_code(result, told, description, code) -> None:
    state = BuildState(number=1, url="", result=result, description=description)
    assert stage.exit_code(state, told) == code


def test_a_failure_ends_with_the_code_of_its_command(desk) -> None:
    desk.job("ml/job", Script([Say("ERROR: exit code 3; the log says what\n")], "FAILURE"))
    ended = desk.run("ml/job")
    assert ended.exit_code == 3
    assert "ERROR: exit code 3; the log says what" in ended.last_lines


def test_a_build_that_is_deleted_meanwhile_is_told(standin, desk) -> None:
    desk.job("ml/job", Script([Say("x\n"), Say("y\n")]))
    desk.clock.at[2] = standin.item("ml/job").builds.clear
    with pytest.raises((OutsideFailed, InputError)):
        desk.run("ml/job")


def test_a_controller_that_is_away_is_waited_for(standin, desk) -> None:
    desk.job("ml/job", Script(steps("Train")))
    standin.faults["/job/ml/job/job/1/logText/progressiveText"] = [503, 503, 502]
    assert desk.run("ml/job").exit_code == 0
    standin.faults["/job/ml/job/job/2/logText/progressiveText"] = [503] * 1000
    with pytest.raises(OutsideFailed, match="503"):
        desk.run("ml/job")


# --- branches


def test_a_branch_that_is_there_is_started(desk) -> None:
    desk.job("ml/ci", Script(), MULTIBRANCH)
    desk.standin.item("ml/ci").children["feature%2Fx"] = branch = desk.standin.items.create(
        desk.standin.item("ml"), "feature", PIPELINE.encode()
    )
    branch.script = Script(steps("Prepare"))
    started = stage.start_branch(desk.controls, "ml/ci", "feature%2Fx")
    assert (started.job, started.number, started.ours) == ("ml/ci/feature%2Fx", 1, True)
    assert desk.standin.item("ml/ci").scans == 1


def test_a_branch_that_jenkins_does_not_know_is_found_by_a_scan(standin, desk) -> None:
    desk.job("ml/ci", Script([Say("Checking branch main\n")]), MULTIBRANCH)

    def found() -> None:
        branch = standin.items.create(standin.item("ml"), "x", PIPELINE.encode())
        standin.item("ml/ci").children["main"] = branch
        _, number = standin.schedule(branch, {})
        standin.begin(standin.queue[number])

    desk.clock.at[1] = found
    started = stage.start_branch(desk.controls, "ml/ci", "main")
    assert (started.number, started.ours) == (1, True)
    assert stage.follow(desk.controls, started).exit_code == 0


def test_a_branch_without_a_pipeline_is_told_with_the_end_of_the_scan(desk) -> None:
    desk.job("ml/ci", Script([Say("  'jenkins/churn.Jenkinsfile' not found\n")]), MULTIBRANCH)
    with pytest.raises(InputError, match="no branch of this name") as caught:
        stage.start_branch(desk.controls, "ml/ci", "topic")
    assert "jenkins/churn.Jenkinsfile' not found" in caught.value.why


def test_a_job_that_was_never_made_is_told_with_its_cure(desk) -> None:
    for begin in (
        lambda: stage.start(desk.controls, "ml/no", {}),
        lambda: stage.start_branch(desk.controls, "ml/no", "main"),
    ):
        with pytest.raises(InputError, match="no job ml/no") as caught:
            begin()
        assert "jobs sync" in caught.value.fix


# --- Ctrl-C


def interrupt() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_ends_what_was_started_here(standin, desk) -> None:
    desk.job("ml/job", Script([Ask("wait")]))
    desk.clock.at[2] = interrupt
    with pytest.raises(Interrupted, match="is ended"):
        desk.run("ml/job")
    assert standin.item("ml/job").builds[1].result == "ABORTED"


def test_ctrl_c_leaves_what_was_only_watched(standin, desk) -> None:
    desk.job("ml/job", Script([Ask("wait")]))
    started = stage.start(desk.controls, "ml/job", {})
    desk.clock.at[2] = interrupt
    watched = stage.Started(job=started.job, number=started.number, ours=False)
    with pytest.raises(Interrupted, match="goes on"):
        stage.follow(desk.controls, watched)
    assert standin.item("ml/job").builds[1].result == ""


def test_ctrl_c_in_the_queue_takes_it_out_again(standin, desk) -> None:
    desk.job("ml/job", Script(queued=50))
    desk.clock.at[2] = interrupt
    with pytest.raises(Interrupted, match="out of the queue"):
        stage.start(desk.controls, "ml/job", {})
    assert standin.queue[1]["cancelled"]


def test_a_build_that_somebody_cancelled_in_the_queue_is_told(standin, desk) -> None:
    desk.job("ml/job", Script(queued=50))
    desk.clock.at[2] = lambda: standin.queue[1].update(cancelled=True)
    with pytest.raises(Interrupted, match="did not begin"):
        stage.start(desk.controls, "ml/job", {})


# --- logs


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1000])
def test_a_log_may_be_cut_anywhere(cut: int) -> None:
    note = b"\x1b[8mha:////4H284hYh+GyQm06thy/KPkHk==\x1b[0m"
    text = (
        note + b"[Pipeline] stage\r\n" + note + b"[Pipeline] { (Tr\xc3\xa4in)\r\n[Pipeline] parallel\r\n"
        b"[Pipeline] { (Branch: x)\r\n[Pipeline] }\r\nStarting building: " + note + b"a \xc2\xbb b #12\r\n"
        b"ERROR: script returned exit code 2\r\n[Pipeline] }\r\n"
    )  # fmt: skip
    log = BuildLog()
    events = [e for at in range(0, len(text), cut) for e in log.feed(text[at : at + cut])[1]]
    assert [(e.kind, e.text, e.number) for e in events] == [
        ("stage", "Träin", 0), ("building", "a/b", 12), ("code", "", 8), ("end", "Träin", 0),
    ]  # fmt: skip


def test_what_built_code_prints_cannot_unbalance_the_stages() -> None:
    _, events = BuildLog().feed(
        b"[Pipeline] }\n[Pipeline] // stage\n[Pipeline] { (x)\n" + b"y" * 5000 + b"\n"
    )
    assert events == []
