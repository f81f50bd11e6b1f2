"""What changes in an object of a cluster is told by field, in lines that fit, and nothing else is told."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.release.object_changes import change_lines, changes_json, manifest_changes, object_change

IMAGE = "registry.acme.example/ml/churn@sha256:"


def deployment(digest="1" * 64, **spec):
    container = {
        "name": "serving",
        "image": IMAGE + digest,
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "ports": [{"containerPort": 8501, "name": "rest"}],
        "args": ["--port", "8501"],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "churn-stable", "labels": {"app.kubernetes.io/name": "churn"}},
        "spec": {"replicas": 3, "template": {"spec": {"containers": [container]}}, **spec},
    }


def changed(edit):
    before = deployment()
    after = copy.deepcopy(before)
    edit(after)
    return object_change(before, after)


def container(document):
    return document["spec"]["template"]["spec"]["containers"][0]


def lines(edit, width=100):
    return change_lines([changed(edit)], width)[1:]


def test_a_number_and_a_text():
    def edit(after):
        after["spec"]["replicas"] = 5
        container(after)["env"][1]["value"] = "3"

    assert lines(edit) == [
        "  spec.replicas: 3 -> 5",
        "  spec.template.spec.containers[serving].env[B].value: 2 -> 3",
    ]


def test_what_comes_and_what_goes():
    def edit(after):
        del container(after)["env"][0]
        after["spec"]["minReadySeconds"] = 5
        after["metadata"]["labels"]["team"] = "risk"

    assert lines(edit) == [
        "  + metadata.labels.team: risk",
        '  - spec.template.spec.containers[serving].env[A]: {"name": "A", "value": "1"}',
        "  + spec.minReadySeconds: 5",
    ]


def test_lists_that_have_no_keys_are_compared_by_place():
    assert lines(lambda after: container(after)["args"].append("--x")) == [
        "  + spec.template.spec.containers[serving].args[2]: --x"
    ]


def test_another_order_of_entries_is_no_change():
    assert not changed(lambda after: container(after)["env"].reverse()).changes


def test_an_image_is_shown_with_both_ends_of_its_digest():
    told = lines(lambda after: container(after).update(image=IMAGE + "2" * 63 + "f"), 60)
    assert told[0] == "  spec.template.spec.containers[serving].image:"
    assert told[1].startswith("    - registry.acme.example")
    assert told[1].endswith("1111")
    assert told[2].endswith("222f")


def test_a_text_of_many_lines_is_compared_by_line():
    before = {"kind": "ConfigMap", "metadata": {"name": "proxy"}, "data": {"nginx.conf": "a\nb\nc\n"}}
    after = {"kind": "ConfigMap", "metadata": {"name": "proxy"}, "data": {"nginx.conf": "a\nB\nc\n"}}
    assert change_lines([object_change(before, after)]) == [
        "ConfigMap/proxy",
        "  data[nginx.conf]:",
        "    - b",
        "    + B",
    ]


def test_a_new_object_is_told_as_one():
    assert change_lines([object_change(None, deployment())]) == ["Deployment/churn-stable (new)"]


def test_what_the_server_keeps_and_our_notes_are_no_change():
    live = deployment()
    live["metadata"] |= {
        "uid": "1",
        "resourceVersion": "7",
        "generation": 3,
        "managedFields": [],
        "namespace": "ml",
    }
    live["metadata"]["annotations"] = {"mmcicd.io/epoch": "7"}
    live["status"] = {"replicas": 3}
    found = object_change(live, deployment(), ["mmcicd.io/epoch"])
    assert not found.changes
    assert change_lines([found]) == []
    assert changes_json([found]) == []


def test_one_annotation_more_is_told_by_its_whole_name():
    after = deployment()
    after["metadata"]["annotations"] = {"prometheus.io/scrape": "true"}
    assert change_lines([object_change(deployment(), after)])[1:] == [
        '  + metadata.annotations: {"prometheus.io/scrape": "true"}'
    ]
    before = deployment()
    before["metadata"]["annotations"] = {"prometheus.io/scrape": "false"}
    assert change_lines([object_change(before, after)])[1:] == [
        "  metadata.annotations[prometheus.io/scrape]: false -> true"
    ]


@pytest.mark.parametrize(("before", "after"), [(True, 1), ("1", 1), ("", None), ([], {}), (0, False)])
def test_kinds_of_values_are_told_apart(before, after):
    one = {"kind": "ConfigMap", "metadata": {"name": "x"}, "data": before}
    two = {"kind": "ConfigMap", "metadata": {"name": "x"}, "data": after}
    assert object_change(one, two).changes


def test_of_two_manifests_all_that_changes_is_told_and_what_is_left():
    service = {"kind": "Service", "metadata": {"name": "churn"}, "spec": {"type": "ClusterIP"}}
    ingress = {"kind": "Ingress", "metadata": {"name": "churn"}, "spec": {}}
    changes = manifest_changes((service, deployment(), ingress), (service, deployment(replicas=5)))
    assert change_lines(changes, place="production") == [
        "production: Deployment/churn-stable",
        "  spec.replicas: 3 -> 5",
        "production: Ingress/churn (applied no more; it stays)",
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=10,
)


@given(VALUES, VALUES, st.integers(0, 120))
def test_lines_fit_and_are_printable_whatever_stands_there(before, after, width):
    one = {"kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"k": before}}
    two = {"kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"k": after}}
    found = object_change(one, two)
    assert not object_change(one, one).changes
    for line in change_lines([found], width):
        assert line.isprintable()
        # The path itself is not cut.
        assert len(line) <= max(width, 42) or line.endswith(":")
