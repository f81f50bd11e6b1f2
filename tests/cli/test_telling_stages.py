"""The line of a stage: one in a log, as many as needed on a screen, the duration in its column."""

from mmcicd_jenkins.cli.report import counted
from mmcicd_jenkins.cli.telling import stage_line
from mmcicd_jenkins.stages.context import Outcome

LONG = Outcome(
    stage="evaluate",
    sentence="refused: accuracy 0.300, needs >= 0.900; accuracy 0.300, needs >= 0.938 (champion 1 has 0.948)",
)


def test_a_short_sentence_is_one_line_everywhere() -> None:
    short = Outcome(stage="test", sentence="4 passed")

    assert stage_line(short, 9.4, 80) == stage_line(short, 9.4) == f"  test      4 passed{'9 s':>58}"


def test_a_log_has_one_line_for_every_stage() -> None:
    assert "\n" not in stage_line(LONG, 12)


def test_a_screen_breaks_between_words_and_ends_with_the_duration() -> None:
    for columns in (60, 80, 100):
        lines = stage_line(LONG, 12, columns).splitlines()

        assert len(lines) > 1
        assert all(len(line) < columns for line in lines)
        assert all(line.startswith(" " * 12) for line in lines[1:])
        assert lines[-1].endswith(" 12 s")
        assert " ".join(" ".join(lines).split()) == f"evaluate {LONG.sentence} 12 s"


def test_a_narrow_screen_loses_nothing() -> None:
    told = stage_line(LONG, 12, 10)

    assert " ".join(told.split()) == f"evaluate {LONG.sentence} 12 s"


def test_one_is_no_plural() -> None:
    assert [counted(n, "release") for n in (0, 1, 1200)] == ["0 releases", "1 release", "1,200 releases"]
