"""The team's own commands are given none of our credentials, and what they print of others is hidden."""

from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.commands import ShellCommands
from mmcicd_jenkins.adapters.credentials import OURS


def test_a_command_sees_none_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OURS:
        monkeypatch.setenv(name, "something secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "for their own tools")
    seen: list[str] = []

    ShellCommands().run(
        "env | sort; test \"$AWS_SECRET_ACCESS_KEY\" = 'for their own tools' && echo given",
        directory=tmp_path,
        variables={},
        log=tmp_path / "log",
        timeout_seconds=60,
        on_line=seen.append,
    )

    told = "\n".join(seen) + (tmp_path / "log").read_text()
    assert "something secret" not in told
    assert "for their own tools" not in told
    assert not [name for name in OURS if name in told]
    assert "given" in seen
