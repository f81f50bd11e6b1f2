"""The stand-in for a cluster keeps the contract that tests/real/test_kubernetes_api.py asks of a real API server."""

import pytest
from kubernetes_api_contract import KubernetesApiContract
from kubernetes_standin import serving

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.config.model import Environment


class TestStandIn(KubernetesApiContract):
    @pytest.fixture
    def connection(self, tmp_path):
        with serving() as standin:
            place = Environment(name="production", kind="kubernetes", cluster=standin.address, namespace="ml")
            yield connect(place, {"KUBECONFIG": str(standin.kubeconfig(tmp_path))}, "mmcicd.yaml:7:14")

    @pytest.fixture
    def api(self, connection):
        return Api(connection, "ml")

    @pytest.fixture
    def api_of_small_pages(self, connection):
        return Api(connection, "ml", page=3)

    @pytest.fixture
    def api_elsewhere(self, connection):
        return Api(connection, "mmcicd-nowhere")
