"""What a cluster is given for one version: which objects, whom they select, how copies start, answer and end.

We test these aspects: objects by settings; labels and selectors; the image; probes and times; resources; who is let in;
the copies of another track; values that are data; one manifest for one decision.
"""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.config.cluster_model import Ingress, Pods, Service, Toleration
from mmcicd_jenkins.config.model import (
    Config,
    Environment,
    Evaluation,
    ImageSettings,
    LedgerSettings,
    Model,
    Serving,
    StoreSettings,
    Strategy,
    Training,
)
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.release.seal import manifest_digest
from mmcicd_jenkins.release.tracks import as_track
from mmcicd_jenkins.render.kubernetes import manifest_text, render_manifest
from mmcicd_jenkins.render.own_manifests import refusals
from mmcicd_jenkins.render.pod_security import pod_security

IMAGE = f"registry.example:5000/ml/churn@sha256:{'a' * 64}"
MODEL = Model(name="churn", data=(), train=Training(command="t"), evaluate=Evaluation(command="e"))
PLACE = Environment(name="live", kind="kubernetes", cluster="https://k:6443", namespace="ml", replicas=3)


def rendered(
    place: Environment = PLACE, model: Model = MODEL, version: int = 7, user: str = ""
) -> dict[str, Any]:
    """The documents by kind and name."""
    documents = manifest(place, model, version, user)
    return {f"{document['kind']}/{document['metadata']['name']}": document for document in documents}


def manifest(place: Environment = PLACE, model: Model = MODEL, version: int = 7, user: str = "") -> Any:
    config = Config(
        root=Path("/nowhere"),
        file="mmcicd.yaml",
        models={model.name: model},
        environments={place.name: place},
        store=StoreSettings(path="", registry="registry.example:5000/ml"),
        ledger=LedgerSettings(url=""),
        image=ImageSettings(user=user),
        jenkins=None,
    )
    return render_manifest(config, model, place, version, IMAGE)


def place(**changes: Any) -> Environment:
    return dataclasses.replace(PLACE, **changes)


def pod(documents: dict[str, Any]) -> Any:
    return documents["Deployment/churn-stable"]["spec"]["template"]["spec"]


def serving(documents: dict[str, Any]) -> Any:
    return pod(documents)["containers"][0]


def test_one_copy_needs_four_objects_and_more_of_them_a_budget() -> None:
    base = {"NetworkPolicy/churn", "Service/churn", "Deployment/churn-stable"}

    assert set(rendered(place(replicas=1))) == base
    assert set(rendered()) == base | {"PodDisruptionBudget/churn"}


def test_everything_else_is_there_when_asked_for() -> None:
    wanted = place(
        autoscale_max=9,
        autoscale_cpu=0.7,
        ingress=Ingress(host="MODEL.example"),
        strategy=Strategy(kind="blue-green"),
    )

    more = set(rendered(wanted)) - set(rendered())

    assert more == {"HorizontalPodAutoscaler/churn", "Ingress/churn", "Service/churn-preview"}


def test_every_object_says_whose_it_is_and_no_object_says_when() -> None:
    for document in manifest(place(autoscale_max=9, strategy=Strategy(kind="blue-green"))):
        metadata = document["metadata"]
        assert metadata["namespace"] == "ml"
        assert metadata["labels"].items() >= {
            ("app.kubernetes.io/name", "churn"),
            ("app.kubernetes.io/managed-by", "mmcicd-jenkins"),
            ("mmcicd.io/environment", "live"),
        }
        assert not [key for key in metadata.get("annotations", {}) if key.startswith("mmcicd.io/")]


def test_a_service_finds_all_copies_but_of_one_colour_where_there_are_two() -> None:
    blue_green = rendered(place(strategy=Strategy(kind="blue-green")))

    assert rendered()["Service/churn"]["spec"]["selector"] == {"app.kubernetes.io/name": "churn"}
    assert blue_green["Service/churn"]["spec"]["selector"]["mmcicd.io/track"] == "stable"
    assert blue_green["Service/churn-preview"]["spec"]["selector"]["mmcicd.io/track"] == "preview"


def test_a_selector_is_the_same_for_every_strategy_and_version() -> None:
    """It cannot be changed on an object that exists."""
    selectors = [
        str(rendered(place(strategy=Strategy(kind=kind)), version=version)["Deployment/churn-stable"]["spec"]["selector"])
        for kind in ("rolling", "canary", "blue-green")
        for version in (1, 2)
    ]  # fmt: skip
    assert len(set(selectors)) == 1


@pytest.mark.parametrize(
    "image", ["registry/churn:7", "churn@sha256:abc", f"a b@sha256:{'a' * 64}", "", IMAGE + "0"]
)
def test_an_image_without_its_digest_is_refused(image: str) -> None:
    config = Config(
        root=Path("/nowhere"), file="f", models={}, environments={}, store=StoreSettings(path=""),
        ledger=LedgerSettings(url=""), image=ImageSettings(), jenkins=None,
    )  # fmt: skip
    with pytest.raises(IntegrityFailed, match="not named by its digest"):
        render_manifest(config, MODEL, PLACE, 7, image)


def test_only_a_version_that_answers_itself_counts() -> None:
    """The status answers 200 whatever the state; the signatures of a version are told only by a loaded one."""
    container = serving(rendered(version=12))

    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] == "/v1/models/churn/versions/12/metadata"
    assert container["livenessProbe"]["httpGet"]["path"] == "/v1/models/churn"
    assert all(
        "host" not in container[p]["httpGet"] for p in ("startupProbe", "readinessProbe", "livenessProbe")
    )


def test_a_copy_that_ends_has_time_to_drain_and_for_the_longest_request() -> None:
    documents = rendered(place(pods=Pods(drain_seconds=12, longest_request_seconds=59.5)))

    assert serving(documents)["lifecycle"] == {"preStop": {"sleep": {"seconds": 12}}}
    assert pod(documents)["terminationGracePeriodSeconds"] == 12 + 60 + 5


def test_a_copy_may_load_as_long_as_the_setting_says() -> None:
    probe = serving(rendered(place(pods=Pods(start_timeout_seconds=901))))["startupProbe"]

    assert probe["periodSeconds"] * probe["failureThreshold"] >= 901


def test_an_old_copy_goes_only_when_a_new_one_answers() -> None:
    spec = rendered(place(pods=Pods(min_ready_seconds=0.5)))["Deployment/churn-stable"]["spec"]

    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["minReadySeconds"] == 1
    assert spec["progressDeadlineSeconds"] == 610


def test_memory_and_gpus_are_whole_and_cores_are_not_limited() -> None:
    model = dataclasses.replace(MODEL, serving=Serving(cpu=0.25, memory_bytes=3 * 2**29, gpus=2))

    resources = serving(rendered(model=model))["resources"]

    assert resources == {
        "requests": {"cpu": "250m", "memory": "1536Mi", "nvidia.com/gpu": "2"},
        "limits": {"memory": "1536Mi", "nvidia.com/gpu": "2"},
    }


def test_a_cluster_may_name_its_gpus_and_limit_cores() -> None:
    model = dataclasses.replace(MODEL, serving=Serving(gpus=1))

    limits = serving(rendered(place(pods=Pods(gpu_resource="amd.com/gpu", cpu_limit=4.0)), model))[
        "resources"
    ]["limits"]

    assert limits == {"cpu": "4", "memory": "2Gi", "amd.com/gpu": "1"}


def test_an_autoscaler_alone_counts_copies() -> None:
    documents = rendered(place(replicas=2, autoscale_max=9, autoscale_cpu=0.65))
    scaler = documents["HorizontalPodAutoscaler/churn"]["spec"]

    assert "replicas" not in documents["Deployment/churn-stable"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 9)
    assert scaler["scaleTargetRef"]["name"] == "churn-stable"
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == 65


def test_nobody_is_called_and_only_who_is_named_may_call() -> None:
    spec = rendered(place(allow_from=("ingress", "10.0.0.0/8")))["NetworkPolicy/churn"]["spec"]

    assert "egress" not in spec
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"][0]["from"] == [
        {"podSelector": {}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}},
        {"ipBlock": {"cidr": "10.0.0.0/8"}},
    ]


@pytest.mark.parametrize(
    ("user", "ids"), [("", (10001, 10001)), ("1234", (1234, 1234)), ("1234:99", (1234, 99)), ("serving", (10001, 10001)), ("0", (10001, 10001))]
)  # fmt: skip
def test_copies_run_as_the_images_user_and_never_as_root(user: str, ids: tuple[int, int]) -> None:
    context = pod(rendered(user=user))["securityContext"]

    assert (context["runAsUser"], context["runAsGroup"]) == ids
    assert context["runAsNonRoot"] is True


def test_another_track_is_the_same_but_for_its_name_and_number() -> None:
    documents = manifest(place(autoscale_max=9))
    before = manifest_digest(documents)

    canary: Any = as_track(documents, "canary", 2)

    assert canary["metadata"]["name"] == "churn-canary"
    assert canary["spec"]["replicas"] == 2
    assert "stable" not in str(canary)
    assert (
        str(canary).count("'canary'") == 4
    )  # its own label, its selector, that of its pods, how they are spread
    assert manifest_digest(documents) == before
    assert (
        str(as_track(documents, "stable", 2)).replace("'replicas': 2, ", "")
        == str(next(d for d in documents if d["kind"] == "Deployment")).replace("'replicas': 2, ", "")
        or as_track(documents, "stable", 2)["spec"]["replicas"] == 2
    )


def test_a_manifest_without_stable_copies_has_no_other_track() -> None:
    with pytest.raises(InputError, match="no Deployment"):
        as_track(tuple(d for d in manifest() if d["kind"] != "Deployment"), "canary", 1)


def test_one_decision_is_one_manifest_and_a_version_is_another() -> None:
    digests = [manifest_digest(manifest(version=version)) for version in (7, 7, 8)]

    assert digests[0] == digests[1] != digests[2]


HOSTILE = [
    "a: b",
    "x\ny: {}",
    "{{ 7 * 7 }}",
    "yes",
    "1.10",
    "#no",
    "- a",
    '"',
    "'",
    "\\",
    "ü",
    "&a *a",
    "!!python/x",
    "null",
    "@",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_value_is_data_whatever_it_looks_like(text: str) -> None:
    wanted = place(
        service=Service(annotations={text: text}),
        ingress=Ingress(host=text, class_name=text, tls_secret=text, annotations={text: text}),
        allow_from=(text,),
        pods=Pods(
            pull_secrets=(text,), node_selector={text: text}, priority_class=text, gpu_resource=text,
            tolerations=(Toleration(key=text, operator="Equal", value=text, effect=text),),
        ),
    )  # fmt: skip
    documents = rendered(wanted, dataclasses.replace(MODEL, serving=Serving(gpus=1)))

    assert documents["Service/churn"]["metadata"]["annotations"] == {text: text}
    assert documents["Ingress/churn"]["spec"]["rules"][0]["host"] == text
    assert pod(documents)["nodeSelector"] == {text: text}
    assert pod(documents)["tolerations"] == [
        {"key": text, "operator": "Equal", "value": text, "effect": text}
    ]
    assert pod(documents)["imagePullSecrets"] == [{"name": text}]
    assert serving(documents)["resources"]["limits"][text] == "1"
    assert set(documents) == set(rendered(place(ingress=Ingress(host="h"))))


def settings_of_a_place() -> st.SearchStrategy[Environment]:
    few = st.integers(1, 5)
    return st.builds(
        Environment,
        name=st.just("live"),
        kind=st.just("kubernetes"),
        cluster=st.just("https://k"),
        namespace=st.just("ml"),
        replicas=few,
        autoscale_max=st.sampled_from([0, 9]),
        autoscale_cpu=st.just(0.5),
        strategy=st.builds(Strategy, kind=st.sampled_from(["rolling", "canary", "blue-green"])),
        service=st.builds(
            Service,
            type=st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]),
            annotations=st.sampled_from([{}, {"a/b": "c"}]),
            rest_node_port=st.sampled_from([0, 30501]),
        ),
        ingress=st.sampled_from(
            [None, Ingress(host="h"), Ingress(host="MODEL.h", class_name="c", tls_secret="s")]
        ),
        allow_from=st.sampled_from([(), ("n",), ("10.0.0.0/8", "n")]),
        pods=st.builds(
            Pods,
            pull_secrets=st.sampled_from([(), ("s",)]),
            node_selector=st.sampled_from([{}, {"pool": "gpu"}]),
            tolerations=st.sampled_from([(), (Toleration(key="k"),)]),
            priority_class=st.sampled_from(["", "high"]),
            cpu_limit=st.sampled_from([0.0, 2.0]),
            drain_seconds=st.floats(0.1, 60),
        ),
    )


@settings(max_examples=60, deadline=None)
@given(settings_of_a_place(), st.sampled_from([0, 1]), st.sampled_from(["", "1000", "1000:1"]))
def test_whatever_is_asked_for_pods_are_restricted(wanted: Environment, gpus: int, user: str) -> None:
    model = dataclasses.replace(MODEL, serving=Serving(gpus=gpus))
    documents = manifest(wanted, model, user=user)

    for document in [*documents, as_track(documents, "canary", 1)]:
        assert pod_security(document, "restricted") == ()
        # What holds for a team's own template holds for ours.
        assert refusals(document, document) == ()
    assert manifest_text(documents).count("\n---\n") == len(documents) - 1
