"""What a cluster says is cut where it is long: the cause stands at its end, so the middle goes."""

from mmcicd_jenkins.adapters.kubernetes.errors import LONGEST, one_line


def test_the_cause_at_the_end_of_a_long_message_is_kept():
    said = one_line("failed to pull " + "x" * LONGEST + ": server gave HTTP response to HTTPS client")
    assert len(said) == LONGEST
    assert said.startswith("failed to pull xxx")
    assert said.endswith(": server gave HTTP response to HTTPS client")
    assert " ... " in said


def test_what_is_short_enough_is_left_as_it_is():
    assert one_line("a\n b " + "x" * (LONGEST - 4)) == "a b " + "x" * (LONGEST - 4)
