"""The promotion of a place with a canary: what Jenkins does with each outcome, and that a question holds nothing.

What the commands say is ordered here, because a cluster is not: the command line is a script that ends as it is told.
"""

import re

import pytest
from paper_controller import make_controller

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.render.scaffold import managed_files

pytestmark = pytest.mark.real

PRODUCTION = """\
  production:
    kind: kubernetes
    cluster: https://k8s.example:6443
    namespace: ml
    replicas: 9
    strategy: {canary: {steps: [10% for 15m, 50% for 30m]}}
    approval: {by: [ml-approvers], four_eyes: true, expires: 3d}
"""
# Plan finds version 8; each later command takes its exit code from a list and leaves words for Jenkins.
COMMANDS = """\
#!/bin/sh
[ "$1" = stage ] || exit 0
mkdir -p .mmcicd/jenkins
printf '%s\\n' "$*" >> "$HARNESS_BASE/calls"
case "$*" in
  *--ask*)
    printf '8 | recall 0.831\\nnone | keep 7\\n' > .mmcicd/jenkins/choices.txt
    echo 'double to production. Serving now: 7.' > .mmcicd/jenkins/message.txt
    exit 0 ;;
esac
read -r code said < "$HARNESS_BASE/$2"
sed -i 1d "$HARNESS_BASE/$2"
echo "$said" > .mmcicd/jenkins/said.txt
exit "$code"
"""
UNDECIDED = "6 double: Inconclusive: 340 of 1,000 requests"
PASSED = "0 Version 8 passed every step beside 7"
PROMOTED = "0 production 7 -> 8"
SMOKE = "0 20 of 20"
TAKEN_BACK = "4 double: the canary of version 8 was taken back, 7 serves on"
APPROVED = {"by": "bob", "VERSION": "8", "REASON": "better"}


@pytest.fixture(scope="module")
def controller(tmp_path_factory):
    made = make_controller(tmp_path_factory.mktemp("canary") / "base")
    config = made.repo / "mmcicd.yaml"
    config.write_text(
        re.sub(r"  production:.*?(?=^store:)", PRODUCTION, config.read_text(), flags=re.DOTALL | re.MULTILINE)
    )
    for generated in managed_files(load_config(config, environ={}), "0.1.0"):
        (made.repo / generated.path).write_bytes(generated.content)
    (made.base / "bin" / "mmcicd-jenkins").write_text(COMMANDS)
    made.push(message="production is a cluster")
    return made


def promoted(controller, *answers, canary, promote=(), smoke=()):
    for stage, codes in (("canary", canary), ("promote", promote), ("smoke", smoke)):
        (controller.base / stage).write_text("".join(f"{code}\n" for code in codes))
    (controller.base / "calls").write_text("")
    ended = controller.press("promote", answers=[APPROVED, *answers])
    left = {stage: (controller.base / stage).read_text() for stage in ("canary", "promote", "smoke")}
    assert set(left.values()) == {""}, "every command that was expected ran"
    return ended


def last_canary(controller):
    """The words of the last canary's command."""
    lines = (controller.base / "calls").read_text().splitlines()
    return [line for line in lines if line.startswith("stage canary")][-1]


def test_it_passes(controller, same_trace):
    ended = promoted(controller, canary=[PASSED], promote=[PROMOTED], smoke=[SMOKE])
    same_trace("promote-canary-passed", ended, "SUCCESS")


def test_it_fails_and_nothing_is_promoted(controller, same_trace):
    ended = promoted(controller, canary=["4 double: version 8 failed as a canary; 7 serves on"])
    same_trace("promote-canary-failed", ended, "UNSTABLE")


def test_it_cannot_be_judged(controller, same_trace):
    ended = promoted(controller, canary=["5 double: the canary of version 8 cannot be judged; 7 serves on"])
    same_trace("promote-canary-error", ended, "FAILURE")


def test_more_time_passes_without_agent_and_lock(controller, same_trace):
    ended = promoted(
        controller,
        {"by": "ann", "DECISION": "Extend 4", "COMMENT": "it is night"},
        canary=[UNDECIDED, PASSED], promote=[PROMOTED], smoke=[SMOKE],
    )  # fmt: skip
    same_trace("promote-canary-extended", ended, "SUCCESS")
    assert "--answer=extended 4 h (ann: it is night)" in last_canary(controller)


def test_a_person_takes_it_back(controller, same_trace):
    hostile = "no; $(touch pwned) `touch pwned` ' \" ${env.X}"
    ended = promoted(
        controller, {"by": "ann", "DECISION": "Take back", "COMMENT": hostile}, canary=[UNDECIDED, TAKEN_BACK]
    )
    same_trace("promote-canary-taken-back", ended, "UNSTABLE")
    assert f"--answer=take back (ann: {hostile})" in last_canary(controller)
    assert not list(controller.base.rglob("pwned"))


def test_silence_takes_it_back(controller, same_trace):
    ended = promoted(controller, {"abort": "time is over"}, canary=[UNDECIDED, TAKEN_BACK])
    same_trace("promote-canary-silence", ended, "UNSTABLE")
    assert "--answer=take back (nobody answered in time, or the question was stopped)" in last_canary(
        controller
    )


def test_what_is_kept_has_no_canary(controller, same_trace):
    (controller.base / "canary").write_text("0 what serves is kept\n")
    (controller.base / "promote").write_text("0 production keeps 7\n")
    (controller.base / "smoke").write_text("0 20 of 20\n")
    ended = controller.press("promote", answers=[APPROVED | {"VERSION": "none", "REASON": "a freeze"}])
    assert ended.result == "SUCCESS"
