"""The live line of a terminal: it shows that something lives even where nothing is printed."""

from mmcicd_jenkins.cli.progress import Live


def test_the_seconds_go_on_while_a_command_is_silent() -> None:
    now = [100.0]
    live = Live(80, lambda: now[-1])
    live.begin("train")
    assert live.__rich__().plain == "train    "
    now.append(161.0)
    assert live.__rich__().plain == "train     61 s"


def test_what_a_command_prints_is_text_and_fits_the_line() -> None:
    live = Live(60, lambda: 0.0)
    live.begin("train")
    live.show("\x1b[2J[red]Epoch\x07 1/8[/red] " + "x" * 300, 0.5)
    shown = live.__rich__().plain
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert shown.endswith("x 50%")
    assert len(shown) < 60
    live.show("[red]Epoch 1/8[/red]", None)
    assert live.__rich__().plain == "train     [red]Epoch 1/8[/red]"
