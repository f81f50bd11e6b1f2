"""The embedded server keeps the contract of TF Serving's surface."""

import pytest
from server_contract import ServerContract

pytestmark = pytest.mark.tensorflow


class TestEmbeddedServer(ServerContract):
    pass
