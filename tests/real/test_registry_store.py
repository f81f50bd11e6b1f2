"""A real registry passes the store's contract, as the layout does; and what only a registry can do wrong."""

import secrets

import pytest
from registry import needs_registry, plain_registry  # noqa: F401 - a fixture
from store_contract import StoreContract

from mmcicd_jenkins.adapters.registry.client import Access
from mmcicd_jenkins.adapters.registry.repositories import Places
from mmcicd_jenkins.adapters.registry.store import RegistryStore
from mmcicd_jenkins.adapters.registry.tries import Patience
from mmcicd_jenkins.ports.store import Store

pytestmark = [pytest.mark.real, needs_registry]

ONE_SHELF = {"mmcicd.ops": ("",)}


def open_registry(place, cache, *, shelves=ONE_SHELF, compression="gzip") -> Store:
    """A store as another process would open it: nothing is known of before but the folder `cache`."""
    access = Access(place.partition("/")[0], {}, insecure=True, patience=Patience(tries=3, pause=0.05))
    return RegistryStore(Places(place, access, shelves, ["churn"]), cache, compression)


class TestRegistry(StoreContract):
    arbitrates = False
    overwrites_damage = False
    compression = "gzip"

    @pytest.fixture
    def open_store(self, plain_registry, tmp_path):  # noqa: F811
        place = f"{plain_registry.host}/team/t{secrets.token_hex(6)}"
        return lambda: open_registry(place, tmp_path / "cache", compression=self.compression)

    @pytest.fixture
    def damage(self, plain_registry):  # noqa: F811
        touched = set()

        def replace(_store, digest, content):
            blob = plain_registry.blob(digest)
            touched.add(blob)
            if content is None:
                blob.unlink(missing_ok=True)
            else:
                blob.write_bytes(content)

        yield replace
        # Repositories share bytes; the next test has its own only where none are left.
        for blob in touched:
            blob.unlink(missing_ok=True)


class TestRegistryWithPlainTars(TestRegistry):
    compression = "none"
