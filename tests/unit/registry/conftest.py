"""What tests of the registry client share: a stand-in, and repositories opened with little patience."""

import hashlib
import os

import pytest
import registry_standin

from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.adapters.registry.tries import Deadlines, Patience
from mmcicd_jenkins.image.descriptor import LAYER, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.reference import parse_reference


@pytest.fixture
def standin():
    with registry_standin.serve() as running:
        yield running


@pytest.fixture
def reached(tmp_path):
    """A function that makes the access to `host` as our own registry; closed afterwards."""
    made = []

    def access(host, *, variables=None, **settings):
        given = {
            "deadlines": Deadlines(connect=2, stall=2),
            "patience": Patience(tries=4, pause=0.001, budget=30),
            **settings,
        }
        made.append(Access(host, {"HOME": str(tmp_path), "PATH": os.defpath, **(variables or {})}, **given))
        return made[-1]

    yield access
    for one in made:
        one.close()


@pytest.fixture
def opened(reached):
    """A function that opens `host/name`, with variables and settings of its own."""

    def open_repository(host, name="ml/churn", **settings):
        return Repository(parse_reference(f"{host}/{name}"), reached(host, **settings))

    return open_repository


@pytest.fixture
def blob():
    """A function that makes content, its descriptor and a function that writes it piece by piece."""

    def make(size=300_000, piece=50_000, seed="seed"):
        content = hashlib.shake_256(seed.encode()).digest(size)
        named = Descriptor(media_type=LAYER, digest=digest_bytes(content), size=size)

        def write(sink):
            write.calls += 1
            for at in range(0, size, piece):
                half = at + piece // 2
                sink([b"", memoryview(content)[at:half], content[half : at + piece]])
            return named

        write.calls = 0
        return content, named, write

    return make
