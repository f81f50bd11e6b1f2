"""A real Kubernetes for the tests that need one: the one of KUBECONFIG, of kind, or a node of our own.

Import the fixtures `cluster`, for a place to work in `namespace`, and for images `serving`. A cluster that was up stays up; one that had to
be started is stopped when the tests end. Without one the tests are skipped with a sentence that says how to get it.
"""

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Iterator

import pytest
import registry_server
from cluster_serving import Serving, shelf
from cluster_tool import Cluster, UnavailableError, running

__all__ = ["Cluster", "Serving", "cluster", "namespace", "namespaces", "serving"]

_RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(running())
        except UnavailableError as e:
            pytest.skip(str(e))
        yield found


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[Callable[..., str]]:
    """A function that makes a namespace in which pods are held to `restricted`, and gives its name."""
    with _making(cluster) as make:
        yield make


@pytest.fixture(scope="module")
def namespaces(cluster: Cluster) -> Iterator[Callable[..., str]]:
    """As `namespace`, for what all tests of a file share."""
    with _making(cluster) as make:
        yield make


@contextlib.contextmanager
def _making(cluster: Cluster) -> Iterator[Callable[..., str]]:
    made = []

    def make(**labels: str) -> str:
        name = f"mmcicd-test-{secrets.token_hex(4)}"
        metadata = {"name": name, "labels": _RESTRICTED | labels}
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        cluster("create", "--filename=-", stdin=json.dumps(document))
        made.append(name)
        _await_account(cluster, name)
        return name

    try:
        yield make
    finally:
        if made:
            cluster("delete", "namespace", *made, "--wait=false", "--ignore-not-found")


def _await_account(cluster: Cluster, namespace: str) -> None:
    """No pod is taken before the namespace has its account."""
    for _ in range(300):
        if cluster.run("get", "serviceaccount", "default", f"--namespace={namespace}").returncode == 0:
            return
        time.sleep(0.1)
    pytest.fail(f"namespace {namespace} gets no account")


@pytest.fixture(scope="session")
def serving(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Images that pods of the cluster can run, each version with the faults that it is given."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(shelf(cluster, tmp_path_factory.mktemp("serving")))
        except (UnavailableError, registry_server.UnavailableError) as e:
            pytest.skip(str(e))
        yield found
