"""A rollout judged by one look at it.

We look at: what is done and what only looks so, each kind of trouble and when it is told, copies of another version or
of former settings, and what counts as progress.
"""

import dataclasses

import pytest

from mmcicd_jenkins.release.rollout import Copy, Group, Limits, Look, judge, moved, ready_by_version

LIMITS = Limits(stall_seconds=100, patience_seconds=30)
GROUP = Group(seen=True, wanted=2, total=2, updated=2, ready=2, available=2)


def copies(**counts):
    return tuple(
        Copy(name=f"{version}-{i}", version=int(version[1:]), ready=True)
        for version, count in counts.items()
        for i in range(count)
    )


def look(*pods, group=GROUP, stalled=0.0):
    return Look(role="stable", group=group, copies=pods, stalled_seconds=stalled)


def of(pod, **changed):
    """What is judged of a rollout to 8 with one copy like this beside two of 7."""
    group = Group(seen=True, wanted=2, total=3, updated=1, ready=2, available=2)
    return judge(8, look(pod, *copies(v7=2), group=group, **changed), LIMITS)


def test_it_is_done_when_it_serves_alone():
    assert judge(8, look(*copies(v8=2)), LIMITS).state == "done"


@pytest.mark.parametrize(
    "group",
    [
        dataclasses.replace(GROUP, seen=False),
        dataclasses.replace(GROUP, updated=1),
        dataclasses.replace(GROUP, available=1),
        dataclasses.replace(GROUP, total=3),
    ],
)
def test_it_is_not_done_while_the_deployment_does_not_say_so(group):
    assert judge(8, look(*copies(v8=2), group=group), LIMITS).state == "going"


def test_it_is_not_done_while_another_version_takes_requests():
    found = judge(8, look(*copies(v8=2, v7=1)), LIMITS)
    assert (found.state, found.line) == ("going", "stable 2 of 2 ready on 8 (1 on 7)")


def test_it_is_not_done_by_what_a_deployment_says_of_copies_that_nobody_sees():
    assert judge(8, look(*copies(v8=1)), LIMITS).state == "going"


def test_a_copy_that_leaves_or_is_gone_takes_no_requests():
    leaving = Copy(name="a", version=7, ready=True, leaving=True)
    gone = Copy(name="b", version=7, gone=True)
    assert judge(8, look(leaving, gone, *copies(v8=2)), LIMITS).state == "done"


def test_nothing_is_wanted_and_nothing_serves():
    none = Group(seen=True, wanted=0)
    assert judge(8, look(group=none), LIMITS).state == "done"


def test_a_copy_without_a_version_is_another_one():
    stray = Copy(name="stray", version=None, ready=True)
    found = judge(8, look(stray, *copies(v8=2)), LIMITS)
    assert (found.state, found.line) == ("going", "stable 2 of 2 ready on 8 (1 on an unknown version)")


SURE = {
    "crash": (
        Copy(name="a", version=8, halted="CrashLoopBackOff", restarts=1, ended="exit status 1"),
        "dies",
    ),
    "restarts": (Copy(name="a", version=8, restarts=2), "dies"),
    "memory": (Copy(name="a", version=8, ended="OOMKilled"), "more memory"),
    "memory again": (
        Copy(name="a", version=8, halted="CrashLoopBackOff", restarts=3, ended="OOMKilled"),
        "more memory",
    ),
    "image": (Copy(name="a", version=8, halted="ErrImagePull", message="... not found"), "no image"),
    "image later": (
        Copy(name="a", version=8, halted="ImagePullBackOff", message="manifest unknown"),
        "no image",
    ),
    "barred": (Copy(name="a", version=8, halted="ErrImagePull", message="401 Unauthorized"), "may not pull"),
    "never pulled": (Copy(name="a", version=8, halted="ErrImageNeverPull"), "cannot pull"),
    "config": (
        Copy(name="a", version=8, halted="CreateContainerConfigError", message="no Secret"),
        "started",
    ),
    "eviction": (
        Copy(
            name="a", version=8, gone=True, evicted="Container serving exceeded its local ephemeral storage"
        ),
        "evicted",
    ),
}


@pytest.mark.parametrize(("pod", "what"), SURE.values(), ids=SURE)
def test_what_no_waiting_cures_is_told_at_once(pod, what):
    found = of(pod)
    assert found.state == "failed"
    assert what in found.trouble.what
    assert found.trouble.copy == "a"
    assert found.trouble.fix


def test_other_bytes_than_the_digest_says_are_a_matter_of_integrity():
    told = "failed commit on ref: unexpected commit digest sha256:1, expected sha256:2"
    assert of(Copy(name="a", version=8, halted="ErrImagePull", message=told)).trouble.integrity


@pytest.mark.parametrize(
    "pod",
    [
        Copy(name="a", version=8, halted="ImagePullBackOff", message="dial tcp: connection refused"),
        Copy(name="a", version=8, refused="0/3 nodes are available: 3 Insufficient memory."),
        Copy(name="a", version=8, gone=True, evicted="The node was low on resource: memory."),
    ],
)
def test_what_may_pass_is_given_its_time(pod):
    assert of(pod, stalled=29).state == "going"
    assert of(pod, stalled=30).state == "failed"


def quota(*pods, stalled=60.0, refused="pods x is forbidden: exceeded quota: q"):
    group = Group(seen=True, wanted=2, total=2, ready=2, available=2, refused=refused)
    return judge(8, look(*pods, *copies(v7=2), group=group, stalled=stalled), LIMITS)


def test_a_quota_is_told_in_its_time():
    assert quota(stalled=10).state == "going"
    assert "quota" in quota().trouble.what


def test_a_quota_that_a_leaving_copy_will_free_is_waited_for():
    assert quota(Copy(name="a", version=6, leaving=True)).state == "going"


def test_a_refusal_of_pod_security_is_final():
    found = quota(stalled=0, refused='pods "x" is forbidden: violates PodSecurity "restricted:latest": ...')
    assert "not admit" in found.trouble.what


def test_nothing_that_moves_is_told_in_the_end():
    found = of(Copy(name="a", version=8), stalled=100)
    assert "not ready within 100 s" in found.trouble.what
    assert (found.trouble.copy, found.trouble.logs) == ("a", True)


def test_a_cluster_whose_controllers_sleep_is_told_in_the_end():
    found = judge(8, look(*copies(v7=2), group=Group(seen=False, wanted=2), stalled=100), LIMITS)
    assert "controllers" in found.trouble.why


@pytest.mark.parametrize(
    "pod",
    [
        Copy(name="a", version=7, halted="CrashLoopBackOff", restarts=4),
        Copy(name="a", version=8, halted="CrashLoopBackOff", restarts=4, current=False),
        Copy(name="a", version=8, halted="CrashLoopBackOff", restarts=4, leaving=True),
        Copy(name="a", version=8, restarts=7, ready=True),
    ],
)
def test_trouble_of_others_is_none_of_ours(pod):
    assert of(pod).state == "going"


def test_progress_is_any_number_that_rises():
    before = look(*copies(v7=2), group=Group(seen=True, wanted=2, total=2, ready=2, available=2))
    born = look(Copy(name="a", version=8), *copies(v7=2), group=Group(seen=True, wanted=2, updated=1))
    assert any(after > now for after, now in zip(moved(8, born), moved(8, before), strict=True))
    left = look(*copies(v8=1, v7=1))
    assert any(
        after > now for after, now in zip(moved(8, left), moved(8, look(*copies(v8=1, v7=2))), strict=True)
    )


def test_copies_are_counted_by_version_the_newest_first():
    assert list(ready_by_version(copies(v7=2, v9=1)).items()) == [(9, 1), (7, 2)]


def test_a_trouble_is_named_although_the_rollout_is_given_up_before_the_trouble_would_be():
    hasty = Limits(stall_seconds=25, patience_seconds=60)
    group = Group(
        seen=True, wanted=2, total=2, ready=2, available=2, refused="x is forbidden: exceeded quota: q"
    )
    found = judge(8, look(*copies(v7=2), group=group, stalled=25), hasty)
    assert found.trouble is not None
    assert "quota" in found.trouble.what


def test_a_server_that_its_node_gave_up_was_slow_and_not_broken():
    found = of(Copy(name="a", version=8, ended="exit status 137", restarts=1))
    assert found.trouble is not None
    assert "did not answer" in found.trouble.what
    assert of(Copy(name="a", version=8, ended="exit status 1", restarts=1)).state == "going"
