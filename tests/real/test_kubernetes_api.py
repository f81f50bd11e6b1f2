"""A real API server keeps the contract of `Api`, and refuses in words that we understand: rights, quotas, pod security."""

import pytest
from cluster import cluster, namespace  # noqa: F401 - fixtures
from kubernetes_api_contract import KubernetesApiContract

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.config.model import Environment

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def connection(cluster):  # noqa: F811
    place = Environment(name="production", kind="kubernetes", cluster=server_of(cluster), namespace="ml")
    return connect(place, {"KUBECONFIG": cluster.kubeconfig}, "mmcicd.yaml:7:14")


def server_of(cluster):  # noqa: F811
    return cluster("config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}")


class TestRealServer(KubernetesApiContract):
    @pytest.fixture
    def api(self, connection, namespace):  # noqa: F811
        return Api(connection, namespace())

    @pytest.fixture
    def api_of_small_pages(self, connection, namespace):  # noqa: F811
        return Api(connection, namespace(), page=3)

    @pytest.fixture
    def api_elsewhere(self, connection):
        return Api(connection, "mmcicd-nowhere")
