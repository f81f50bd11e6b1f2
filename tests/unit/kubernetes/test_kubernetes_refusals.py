"""What a cluster refuses is told with what an administrator, or the team, has to do; never with a secret."""

import pytest
from fault_proxy import serve
from faults import answer
from kubeconfigs import api_of, connected, written
from kubernetes_standin import serving

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.errors import Conflict
from mmcicd_jenkins.errors import InputError, OutsideFailed

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "churn-stable"}, "spec": {}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "churn"}, "spec": {}}
PODS = "deployments"


@pytest.fixture
def standin():
    with serving() as found:
        yield found


@pytest.fixture
def api(standin, tmp_path):
    return api_of(written(tmp_path / "c", standin.address), standin.address)


def refused(api, kind=OutsideFailed):
    with pytest.raises(kind) as caught:
        api.create(DEPLOYMENT)
    assert not isinstance(caught.value, Conflict)
    return caught.value


def test_a_missing_right_names_verb_resource_namespace_and_account(standin, api):
    standin.forbidden.add(("create", "deployments"))
    error = refused(api)
    assert error.what == "this account may not create deployments of apps in namespace ml"
    assert "system:serviceaccount:ml:deployer" in error.why
    assert "mmcicd-jenkins render rbac" in error.fix
    assert not error.retryable
    assert not api.may("create", "apps", "deployments")
    assert api.may("get", "apps", "deployments")


def test_a_quota_is_not_a_missing_right(standin, api):
    text = 'pods "churn" is forbidden: exceeded quota: compute, requested: cpu=2, used: cpu=3, limited: cpu=4'
    standin.refuse("POST", PODS, 403, text, reason="Forbidden")
    error = refused(api)
    assert "quota is used up" in error.what
    assert error.why == "compute, requested: cpu=2, used: cpu=3, limited: cpu=4"
    assert "kubectl describe quota -n ml" in error.fix


def test_pod_security_is_not_a_missing_right(standin, api):
    text = 'pods "churn" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod must not run as root)'
    standin.refuse("POST", PODS, 403, text, reason="Forbidden")
    error = refused(api, InputError)
    assert error.what == "the namespace takes only pods that are restricted"
    assert "runAsNonRoot != true" in error.why


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (403, 'deployments.apps "x" is forbidden: maximum cpu usage per Container is 1, but limit is 2'),
        (400, 'admission webhook "images.acme.example" denied the request: unsigned image'),
        (422, "ValidatingAdmissionPolicy 'labels' with binding 'all' denied request: no owner"),
    ],
)
def test_a_rule_of_the_cluster_is_told_in_its_words(standin, api, status, text):
    standin.refuse("POST", PODS, status, text, reason="Forbidden")
    error = refused(api)
    assert error.what == "a rule of the cluster does not admit Deployment/churn-stable"
    assert text in error.why
    assert "render rbac" not in error.fix


def test_a_webhook_that_fails_may_pass(standin, api):
    text = 'Internal error occurred: failed calling webhook "x": Post "https://x/": context deadline exceeded'
    standin.refuse("POST", PODS, 500, text, reason="InternalError", times=99)
    error = refused(api)
    assert "failed calling webhook" in error.why
    assert error.retryable


def test_a_namespace_that_is_being_deleted_is_told(standin, api):
    text = 'deployments.apps "x" is forbidden: unable to create new content in namespace ml because it is being terminated'
    causes = [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace ml is being terminated",
            "field": "metadata.namespace",
        }
    ]
    standin.refuse("POST", PODS, 403, text, reason="Forbidden", causes=causes)
    assert refused(api).what == "namespace ml is being deleted"


def test_a_login_that_ended_is_told(standin, tmp_path):
    path = written(tmp_path / "c", standin.address, {"token": "an-old-token-of-somebody"})
    error = refused(api_of(path, standin.address))
    assert error.what == "the cluster does not know this login"
    assert str(path) in error.why
    assert "an-old-token" not in str(error.to_json())


def test_many_causes_are_told_in_part(standin, api):
    causes = [
        {"reason": "FieldValueInvalid", "message": "Invalid value", "field": f"spec.a[{n}]"}
        for n in range(20)
    ]
    standin.refuse("POST", PODS, 422, "is invalid", reason="Invalid", causes=causes)
    error = refused(api, InputError)
    assert error.where == "Deployment/churn-stable: spec.a[0]"
    assert error.why.endswith("spec.a[7]: Invalid value; and 12 more")


@pytest.mark.parametrize(
    ("status", "text", "field"),
    [
        (400, 'strict decoding error: unknown field "spec.replicaz"', "spec.replicaz"),
        (
            500,
            "failed to create typed patch object (ml/x; apps/v1, Kind=Deployment): .spec.replicaz: field not declared in schema",
            "spec.replicaz",
        ),
        (
            400,
            "failed to create typed patch object (ml/x; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string",
            "spec.replicas",
        ),
        (
            400,
            'failed: .spec.template.spec.containers[name="serving"].imag: field not declared in schema',
            'spec.template.spec.containers[name="serving"].imag',
        ),
    ],
)
def test_a_field_that_the_schema_does_not_know_is_named(standin, api, status, text, field):
    standin.refuse("POST", PODS, status, text, reason="BadRequest")
    assert refused(api, InputError).where == f"Deployment/churn-stable: {field}"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503])
@pytest.mark.parametrize(
    "body", [b"", b"\x1b[31mred\x1b[0m\n\nmore", b'{"kind": "Status", "details": 7}', b"{" * 9000]
)
def test_answers_of_no_sense_are_errors_of_ours_on_one_line(standin, tmp_path, status, body):
    with serve(standin.host) as proxy:
        server = f"http://{proxy.host}"
        proxy.on("POST", "/", answer(status, body), times=99)
        with pytest.raises((InputError, OutsideFailed)) as caught:
            api_of(written(tmp_path / "c", server), server).create(SERVICE)
    told = " ".join(map(str, caught.value.to_json().values()))
    assert told.isprintable()
    assert len(told) < 1500


@pytest.mark.parametrize("echo", ["{}", "Bearer {}", "token={}&x", '"{}"'])
def test_a_token_that_the_server_repeats_is_hidden(standin, tmp_path, echo):
    token = "sha256~abcdef-0123456789"
    path = written(tmp_path / "c", standin.address, {"token": token})
    standin.tokens[token] = "somebody"
    standin.refuse("POST", PODS, 403, f"no: {echo.format(token)}", reason="Forbidden")
    error = refused(api_of(path, standin.address))
    assert token not in str(error.to_json())
    assert "***" in error.why


def test_warnings_are_told_once(standin, tmp_path):
    told = []

    standin.warnings = [
        'would violate PodSecurity \\"restricted:latest\\": runAsNonRoot != true',
        "unknown field spec.x",
    ]
    api = Api(connected(written(tmp_path / "c", standin.address), standin.address), "ml", warn=told.append)
    api.list("Service", {})
    api.list("Service", {})
    assert told == [
        'would violate PodSecurity "restricted:latest": runAsNonRoot != true',
        "unknown field spec.x",
    ]


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a?b", "a%2fb", "a b", "ü", "a#b", "x" * 300])
def test_hostile_names_are_data(standin, api, name):
    assert api.get("Service", name) is None
    assert api.delete("Service", name, uid="0") is False
    assert all(target.startswith("/api/v1/namespaces/ml/services/") for _, target in standin.requests)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}},
        {"kind": "RoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "x"}},
        {"kind": "Deployment", "apiVersion": "extensions/v1beta1", "metadata": {"name": "x"}},
        {"kind": ["Deployment"], "apiVersion": "apps/v1", "metadata": {"name": "x"}},
        {"kind": "Service", "apiVersion": "v1", "metadata": {}},
        {"kind": "Service", "apiVersion": "v1"},
    ],
)
def test_documents_that_are_not_ours_to_write_are_refused_here(standin, api, document):
    with pytest.raises(InputError):
        api.create(document)
    with pytest.raises(InputError):
        api.validate([document])
    assert standin.requests == []
