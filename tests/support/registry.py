"""The real registry as tests use it: `serve` is that of `registry_server`, and skips where it cannot run.

The fixture `plain_registry` lasts the session and takes deletes; a test uses repositories of its own in it.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import registry_server
from registry_server import MISSING, PROGRAM, Registry

__all__ = ["Registry", "needs_registry", "plain_registry", "serve"]

needs_registry = pytest.mark.skipif(PROGRAM is None, reason=MISSING)


@contextlib.contextmanager
def serve(folder: Path, **options: Any) -> Iterator[Registry]:
    """See `registry_server.serve`."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(registry_server.serve(folder, **options))
        except registry_server.UnavailableError as e:
            pytest.skip(str(e))
        yield running


@pytest.fixture(scope="session")
def plain_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serve(tmp_path_factory.mktemp("registry")) as running:
        yield running
