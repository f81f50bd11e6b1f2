"""The OCI layout passes the store's contract, in each form in which it keeps layers."""

import os
import secrets

import pytest
from store_contract import StoreContract

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.ports.store import Store


def open_layout(path, compression="gzip") -> Store:
    return OciLayoutStore(path, compression)


class TestOciLayout(StoreContract):
    compression = "gzip"

    @pytest.fixture
    def open_store(self, tmp_path):
        path = tmp_path / f"store-{secrets.token_hex(4)}"
        return lambda: open_layout(path, self.compression)

    @pytest.fixture
    def damage(self, tmp_path):
        def replace(_store, digest, content):
            (path,) = tmp_path.glob("store-*/blobs/sha256")
            blob = path / digest.removeprefix("sha256:")
            if content is None:
                blob.unlink(missing_ok=True)
            else:
                blob.write_bytes(content)

        return replace


class TestOciLayoutWithPlainTars(TestOciLayout):
    compression = "none"


def test_looking_makes_no_folder(tmp_path):
    assert open_layout(tmp_path / "store").find("t") is None
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - the point is what the system lists
