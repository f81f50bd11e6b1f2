from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_support import bare_repository, git, git_daemon


@pytest.fixture(params=["local", "remote", "partial"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a ledger that nobody has written to."""
    if request.param == "local":
        yield str(tmp_path / "below" / "ledger.git")
        return
    repository = bare_repository(tmp_path / "ledger.git")
    # Whether a server sends parts is its own setting; git's default is that it does not.
    git(repository, "config", "uploadpack.allowFilter", "true" if request.param == "partial" else "false")
    with git_daemon(tmp_path) as address:
        yield f"{address}/ledger.git"
