"""What a person reads before a deployment: the objects that change, and nothing of the others."""

from mmcicd_jenkins.render.manifest_diff import manifest_diff


def document(kind, **spec):
    return {"kind": kind, "metadata": {"name": "churn"}, "spec": spec}


def test_only_what_changes_is_shown():
    before = (document("Service", type="ClusterIP"), document("Deployment", replicas=2, image="a@sha256:1"))
    after = (document("Service", type="ClusterIP"), document("Deployment", replicas=3, image="a@sha256:1"))
    lines = manifest_diff(before, after, "production")
    assert lines[:2] == ("--- production Deployment/churn", "+++ production Deployment/churn")
    assert "-  replicas: 2" in lines
    assert "+  replicas: 3" in lines
    assert not any("Service" in line for line in lines)
    assert manifest_diff(after, after, "production") == ()


def test_what_is_new_and_what_goes():
    lines = manifest_diff(
        (document("Ingress", host="x"),), (document("Service", type="ClusterIP"),), "staging"
    )
    assert "--- nothing" in lines
    assert "+++ staging Service/churn" in lines
    assert "--- staging Ingress/churn" in lines
    assert "+++ no longer applied" in lines
