"""A Docker engine for the tests that need one: import the fixture `docker`, a function that runs `docker ARGUMENTS`.

Without an engine the tests are skipped with a sentence that says how to get one.
"""

import contextlib

import docker_server
import pytest
from docker_server import Engine

__all__ = ["Engine", "docker"]


@pytest.fixture(scope="session")
def docker():
    with contextlib.ExitStack() as stack:
        try:
            engine = stack.enter_context(docker_server.serve())
        except docker_server.UnavailableError as e:
            pytest.skip(str(e))
        yield engine
