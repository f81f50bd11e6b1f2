"""A mistake as it is printed."""

from mmcicd_jenkins.config.problems import MAX_LINE, render_problem
from mmcicd_jenkins.errors import Problem


def problem(excerpt: str, column: int, width: int = 1) -> Problem:
    return Problem(file="f", line=14, column=column, width=width, what="w", fix="x", excerpt=excerpt)


def test_place_line_caret_and_fix() -> None:
    told = Problem(
        file="mmcicd.yaml",
        line=14,
        column=13,
        width=5,
        what="serving.replicas: expected a whole number ≥ 1, got 'three'",
        fix="write a number, for example `replicas: 3`",
        excerpt="  replicas: three",
    )
    assert render_problem(told) == (
        "mmcicd.yaml:14:13: serving.replicas: expected a whole number ≥ 1, got 'three'\n"
        "    14 |   replicas: three\n"
        "       |             ^^^^^\n"
        "  fix: write a number, for example `replicas: 3`"
    )


def test_the_caret_stands_below_its_character_after_tabs_and_wide_letters() -> None:
    assert render_problem(problem("\ta: x", 5)).splitlines()[2] == "       | \t   ^"
    assert render_problem(problem("名前: x", 5, 1)).splitlines()[2] == "       |       ^"
    assert render_problem(problem("名", 1, 1)).splitlines()[2] == "       | ^^"


def test_a_long_line_is_shown_around_its_mistake() -> None:
    line = "a" * 5000 + "X" + "b" * 5000
    _, shown, caret, _ = render_problem(problem(line, 5001)).splitlines()
    assert len(shown) < MAX_LINE + 20
    assert shown[caret.index("^")] == "X"


def test_nothing_steers_the_terminal() -> None:
    told = render_problem(problem("a: \x1b]0;owned\x07\x9b31m", 1))
    assert "\x1b" not in told
    assert "\x9b" not in told
