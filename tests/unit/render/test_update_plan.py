"""What happens to a generated file: never over a person's edit, and the second time nothing more."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.adapters.generated_files import merge
from mmcicd_jenkins.render.update import Decision, Generated, Present, Record, UpdatePlan, plan_update

OLD = b"one\ntwo\nthree\nfour\nfive\n"
NEW = b"one\ntwo\nthree\nfour\nFIVE\n"
EDIT = b"ONE\ntwo\nthree\nfour\nfive\n"
CLASH = b"one\ntwo\nthree\nfour\nV\n"
PATH = "jenkins/churn.Jenkinsfile"


def plan(
    new: bytes | None, mine: bytes | None, base: bytes | None, *, executable: bool = False
) -> UpdatePlan:
    files = [] if new is None else [Generated(path=PATH, content=new, executable=executable)]
    present = {} if mine is None else {PATH: Present(content=mine)}
    record = Record() if base is None else Record(managed={PATH: base})
    return plan_update(files, present, record, merge)


def decide(new: bytes | None, mine: bytes | None, base: bytes | None) -> Decision:
    return plan(new, mine, base).decisions[0]


def after(decision: Decision, mine: bytes | None) -> bytes | None:
    """What stands there once the decision was carried out."""
    if decision.step == "remove":
        return None
    return mine if decision.content is None else decision.content


@pytest.mark.parametrize(
    ("new", "mine", "base", "step"),
    [
        (NEW, None, None, "write"),
        (NEW, OLD, OLD, "update"),
        (NEW, NEW, OLD, "same"),
        (NEW, NEW, None, "same"),
        (OLD, EDIT, OLD, "keep"),
        (NEW, EDIT, OLD, "merge"),
        (NEW, CLASH, OLD, "conflict"),
        (NEW, EDIT, None, "keep"),
        (NEW, None, OLD, "deleted"),
        (NEW, None, NEW, "deleted"),
        (None, OLD, OLD, "remove"),
        (None, EDIT, OLD, "keep"),
        (None, None, OLD, "deleted"),
    ],
)
def test_one_step_for_each_case(new, mine, base, step) -> None:
    assert decide(new, mine, base).step == step


def test_a_merge_has_both_changes() -> None:
    assert decide(NEW, EDIT, OLD).content == b"ONE\ntwo\nthree\nfour\nFIVE\n"


def test_a_conflict_keeps_both_texts() -> None:
    content = decide(NEW, CLASH, OLD).content or b""

    assert b"<<<<<<< yours\nV\n=======\nFIVE\n>>>>>>> mmcicd-jenkins " in content


def test_an_open_conflict_is_not_merged_again() -> None:
    first = plan(NEW, CLASH, OLD)
    marked = first.decisions[0].content

    again = plan_update(
        [Generated(path=PATH, content=NEW)], {PATH: Present(content=marked or b"")}, first.record, merge
    )

    assert [d.step for d in again.decisions] == ["unresolved"]
    assert again.record == first.record
    assert again.conflicts
    assert not again.changing


def test_resolving_a_conflict_ends_it() -> None:
    record = plan(NEW, CLASH, OLD).record

    again = plan_update(
        [Generated(path=PATH, content=NEW)], {PATH: Present(content=b"one\nmy own\n")}, record, merge
    )

    assert [d.step for d in again.decisions] == ["keep"]


def test_a_conflict_written_by_a_killed_run_is_not_met_twice() -> None:
    """The file was merged, then the process died before the record was written."""
    marked = decide(NEW, CLASH, OLD).content
    resumed = plan(NEW, marked, OLD)
    assert resumed.decisions[0].step == "unresolved"

    resolved = plan_update(
        [Generated(path=PATH, content=NEW)], {PATH: Present(content=CLASH)}, resumed.record, merge
    )

    assert [d.step for d in resolved.decisions] == ["keep"]


def test_a_file_that_was_there_before_is_never_taken_over() -> None:
    kept = plan(NEW, EDIT, None)

    assert kept.record == Record()
    assert decide(OLD, EDIT, None).step == "keep"


def test_a_lost_executable_bit_comes_back() -> None:
    assert plan(NEW, NEW, NEW, executable=True).decisions[0].step == "update"


def test_a_teams_own_files_are_written_once() -> None:
    own = [Generated(path="train.py", content=NEW, mode="once")]
    first = plan_update(own, {}, Record(), merge)
    assert first.decisions[0].step == "write"

    edited = plan_update(own, {"train.py": Present(content=EDIT)}, first.record, merge)
    deleted = plan_update(own, {}, edited.record, merge)

    assert edited.decisions[0].step == "keep"
    assert deleted.decisions[0].step == "deleted"


@pytest.mark.parametrize(
    ("mine", "wanted"),
    [
        (b"*.pyc\n", b"*.pyc\n.mmcicd/\n__pycache__/\n"),
        (b"*.pyc", b"*.pyc\n.mmcicd/\n__pycache__/\n"),
        (b"__pycache__/\n", b"__pycache__/\n.mmcicd/\n"),
        (b"", b".mmcicd/\n__pycache__/\n"),
        (b".mmcicd/\n__pycache__/\n", None),
    ],
)
def test_lines_are_added_once_to_a_file_that_was_there(mine: bytes, wanted: bytes | None) -> None:
    lines = [Generated(path=".gitignore", content=b".mmcicd/\n__pycache__/\n", mode="lines")]
    first = plan_update(lines, {".gitignore": Present(content=mine)}, Record(), merge)
    assert first.decisions[0].content == wanted

    taken_out = plan_update(lines, {".gitignore": Present(content=mine)}, first.record, merge)

    assert not taken_out.changing


LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"d"]), max_size=6).map(b"".join)


@settings(max_examples=40, deadline=None)
@given(new=LINES, mine=st.none() | LINES, base=st.none() | LINES)
# Merged once it is "b b": a second merge against the old text would find both changes in the same lines.
@example(new=b"b\n", mine=b"a\nb\nb\n", base=b"a\nb\n")
def test_deciding_again_changes_nothing(new: bytes, mine: bytes | None, base: bytes | None) -> None:
    first = plan(new, mine, base)
    stands = after(first.decisions[0], mine)
    present = {} if stands is None else {PATH: Present(content=stands)}
    files = [Generated(path=PATH, content=new)]

    finished = plan_update(files, present, first.record, merge)
    killed = plan_update(files, present, first.announced, merge)
    stood = {} if mine is None else {PATH: Present(content=mine)}
    killed_before = plan_update(files, stood, first.announced, merge)

    assert not finished.changing
    assert finished.record == first.record
    # Killed after the file and before the record: the next run ends where the whole one ends.
    assert not killed.changing
    assert killed.record == first.record
    assert killed_before == first
