from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_support import bare_repository, git_daemon


@pytest.fixture(params=["local", "remote"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a ledger that nobody has written to."""
    if request.param == "local":
        yield str(tmp_path / "below" / "ledger.git")
        return
    bare_repository(tmp_path / "ledger.git")
    with git_daemon(tmp_path) as address:
        yield f"{address}/ledger.git"
