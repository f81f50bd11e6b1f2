"""A build log hears that something lives, and not that something has just begun."""

from mmcicd_jenkins.cli.progress import LogProgress


def lines_of(capsys, *updates):
    """What is said; each update is the second at which it comes, its text and its share."""
    clock = [0.0]
    shown = LogProgress(lambda: clock[0])
    shown.begin("train")
    for second, text, done in updates:
        clock[0] = second
        shown.update(text, done)
    return [line.strip() for line in capsys.readouterr().err.splitlines()]


def test_after_a_long_training_storing_the_model_is_no_news_at_once(capsys):
    storing = [(60.0 + n, "storing the model", n / 5) for n in range(6)]
    assert lines_of(capsys, *storing) == []


def test_what_takes_long_is_told_with_its_share(capsys):
    storing = [(60.0 + n, "storing the model", n / 25) for n in range(25)]
    assert lines_of(capsys, *storing) == [
        "train     storing the model 40%",
        "train     storing the model 80%",
    ]


def test_a_training_is_heard_now_and_then(capsys):
    epochs = [(float(n), f"epoch {n}", None) for n in range(1, 25)]
    assert lines_of(capsys, *epochs) == ["train     epoch 10", "train     epoch 20"]
