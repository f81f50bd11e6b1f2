"""What `Api` promises of one namespace, asked of whatever the fixture `api` leads to: a real API server or the stand-in.

A stand-in that differs from the real one fails here.
"""

import contextlib
import threading
from typing import Any

import pytest

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.errors import AlreadyExists, Conflict
from mmcicd_jenkins.errors import InputError, OutsideFailed

ELSE = "00000000-0000-4000-8000-000000000000"


def settings(name: str = "settings", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str = "churn-stable", env: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": name}
    variables = [{"name": key, "value": value} for key, value in (env or {}).items()]
    container = {"name": "serving", "image": "127.0.0.1:1/none@sha256:" + "0" * 64, "env": variables}
    # No copies: nobody needs the image.
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels, "annotations": {"mmcicd.io/epoch": "1"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **spec,
        },
    }


def service(track: str, name: str = "churn") -> dict[str, Any]:
    ports = [{"name": "rest", "port": 8501, "targetPort": 8501, "protocol": "TCP"}]
    spec = {"selector": {"app": name, "track": track}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def read(api: Api, document: dict[str, Any]) -> dict[str, str]:
    """The preconditions for what is there now."""
    live = api.get(document["kind"], document["metadata"]["name"])
    assert live is not None
    return {"uid": live["metadata"]["uid"], "resource_version": live["metadata"]["resourceVersion"]}


def changed(api: Api, document: dict[str, Any], patch: dict[str, Any] | None = None) -> dict[str, Any]:
    """The object once `document` is applied, or `patch` merged into it: its controller writes to it as well."""
    kind, name = document["kind"], document["metadata"]["name"]
    while True:
        with contextlib.suppress(Conflict):
            same = read(api, document)
            return api.patch(kind, name, patch, **same) if patch else api.apply(document, **same)


def variables(live: dict[str, Any]) -> dict[str, str]:
    container = live["spec"]["template"]["spec"]["containers"][0]
    return {one["name"]: one["value"] for one in container.get("env", [])}


def managers(live: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (one["manager"], one["operation"])
        for one in live["metadata"]["managedFields"]
        if "subresource" not in one
    }


class KubernetesApiContract:
    def test_what_is_not_there_is_none(self, api):
        assert api.get("Deployment", "nobody") is None
        assert api.list("Deployment", {"app": "nobody"}) == []
        assert api.delete("Deployment", "nobody", uid=ELSE) is False

    def test_what_is_created_is_found(self, api):
        made = api.create(settings(one="1"))
        assert made["metadata"]["uid"]
        assert made["metadata"]["namespace"] == api.namespace
        live = api.get("ConfigMap", "settings")
        assert (live["data"], live["metadata"]["uid"]) == ({"one": "1"}, made["metadata"]["uid"])

    def test_a_second_creation_is_refused(self, api):
        api.create(settings(one="1"))
        with pytest.raises(AlreadyExists):
            api.create(settings(one="2"))
        assert api.get("ConfigMap", "settings")["data"] == {"one": "1"}

    def test_of_many_creations_at_once_one_wins(self, api):
        won = []

        def make(number: int) -> None:
            with contextlib.suppress(AlreadyExists):
                api.create(settings(one=str(number)))
                won.append(str(number))

        threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [api.get("ConfigMap", "settings")["data"]["one"]] == won

    def test_applying_changes_what_was_read(self, api):
        api.create(settings(one="1"))
        assert api.apply(settings(one="11"), **read(api, settings()))["data"] == {"one": "11"}

    def test_what_is_applied_no_more_goes_and_what_others_wrote_stays(self, api):
        api.create(deployment())
        assert variables(changed(api, deployment(env={"A": "1", "B": "2"}))) == {"A": "1", "B": "2"}
        changed(api, deployment(), {"metadata": {"annotations": {"theirs": "x"}}})
        live = changed(api, deployment(env={"A": "1"}))
        assert variables(live) == {"A": "1"}
        assert live["metadata"]["annotations"]["theirs"] == "x"
        assert variables(changed(api, deployment())) == {}

    def test_what_was_created_stays_until_it_counts_as_applied(self, api):
        made = api.create(deployment(env={"A": "1"}))
        assert managers(made) == {("mmcicd-jenkins", "Update")}
        live = changed(api, deployment(env={"B": "2"}))
        assert variables(live) == {"A": "1", "B": "2"}
        noted = [one for one in live["metadata"]["managedFields"] if "subresource" not in one]
        folded = [{**one, "operation": "Apply"} for one in noted if one["operation"] == "Update"]
        changed(api, deployment(), {"metadata": {"managedFields": folded}})
        assert variables(changed(api, deployment(env={"B": "2"}))) == {"B": "2"}

    @pytest.mark.parametrize("how", ["apply", "patch", "delete"])
    def test_a_stale_write_is_refused(self, api, how):
        api.create(settings(one="1"))
        old = read(api, settings())
        api.apply(settings(one="2"), **old)
        with pytest.raises(Conflict):
            self.write(api, how, old)
        assert api.get("ConfigMap", "settings")["data"] == {"one": "2"}

    @pytest.mark.parametrize("how", ["apply", "patch", "delete"])
    def test_a_write_to_what_was_made_anew_is_refused(self, api, how):
        api.create(settings(one="1"))
        with pytest.raises(Conflict):
            self.write(api, how, {**read(api, settings()), "uid": ELSE})
        assert api.get("ConfigMap", "settings")["data"] == {"one": "1"}

    @pytest.mark.parametrize("how", ["apply", "patch"])
    def test_a_write_never_makes_what_was_removed(self, api, how):
        api.create(settings(one="1"))
        old = read(api, settings())
        assert api.delete("ConfigMap", "settings", uid=old["uid"])
        with pytest.raises(Conflict):
            self.write(api, how, old)
        assert api.get("ConfigMap", "settings") is None

    def write(self, api, how, old):
        if how == "apply":
            api.apply(settings(one="stale"), **old)
        elif how == "patch":
            api.patch("ConfigMap", "settings", {"data": {"one": "stale"}}, **old)
        else:
            api.delete("ConfigMap", "settings", **old)

    def test_a_patch_merges_and_none_removes(self, api):
        api.create(settings(one="1", two="2"))
        live = api.patch(
            "ConfigMap", "settings", {"data": {"one": None, "three": "3"}}, **read(api, settings())
        )
        assert live["data"] == {"two": "2", "three": "3"}

    def test_a_selector_is_replaced_as_a_whole(self, api):
        api.create(service("stable"))
        live = api.apply(service("preview"), **read(api, service("")))
        assert live["spec"]["selector"] == {"app": "churn", "track": "preview"}

    def test_applying_the_same_again_changes_nothing(self, api):
        api.create(settings(one="1"))
        api.apply(settings(one="1"), **read(api, settings()))
        before = read(api, settings())
        assert api.apply(settings(one="1"), **before)["data"] == {"one": "1"}
        assert read(api, settings()) == before

    def test_a_deployment_has_a_new_generation_with_a_new_spec_or_annotation(self, api):
        api.create(deployment())
        first = changed(api, deployment())["metadata"]["generation"]
        assert changed(api, deployment())["metadata"]["generation"] == first
        assert changed(api, deployment(env={"A": "1"}))["metadata"]["generation"] == first + 1
        note = {"metadata": {"annotations": {"mmcicd.io/epoch": "2"}}}
        assert changed(api, deployment(), note)["metadata"]["generation"] == first + 2

    def test_without_force_other_owners_are_named(self, api):
        api.create(settings(one="1"))
        api.patch("ConfigMap", "settings", {"data": {"one": "2"}}, **read(api, settings()))
        with pytest.raises(OutsideFailed) as caught:
            api.apply(settings(one="3"), **read(api, settings()), force=False)
        assert "somebody else manages fields of ConfigMap/settings" in caught.value.what
        assert ".data.one" in caught.value.why

    def test_a_dry_run_changes_nothing(self, api):
        assert api.create(settings(one="1"), dry_run=True)["data"] == {"one": "1"}
        assert api.get("ConfigMap", "settings") is None
        api.create(settings(one="1"))
        assert api.apply(settings(one="2"), **read(api, settings()), dry_run=True)["data"] == {"one": "2"}
        assert api.get("ConfigMap", "settings")["data"] == {"one": "1"}

    def test_labels_select(self, api):
        for name in ("one", "two"):
            api.create(deployment(name))
        found = api.list("Deployment", {"app.kubernetes.io/name": "one"})
        assert [(one["kind"], one["apiVersion"], one["metadata"]["name"]) for one in found] == [
            ("Deployment", "apps/v1", "one")
        ]
        assert len(api.list("Deployment", {})) == 2

    def test_a_list_of_many_pages_is_whole(self, api_of_small_pages):
        names = [f"settings-{number}" for number in range(7)]
        for name in names:
            api_of_small_pages.create(
                {**settings(name), "metadata": {"name": name, "labels": {"many": "yes"}}}
            )
        found = api_of_small_pages.list("ConfigMap", {"many": "yes"})
        assert [one["metadata"]["name"] for one in found] == names

    def test_documents_are_checked_and_nothing_is_made(self, api):
        api.validate([deployment(), service("stable"), settings(one="1")])
        assert api.get("Deployment", "churn-stable") is None
        api.create(deployment())
        api.validate([deployment(env={"A": "1"})])
        assert variables(api.get("Deployment", "churn-stable")) == {}

    def test_a_missing_field_is_named(self, api):
        document = deployment()
        document["spec"]["template"]["spec"]["containers"] = []
        with pytest.raises(InputError) as caught:
            api.validate([document])
        assert caught.value.where == "Deployment/churn-stable: spec.template.spec.containers"
        assert "Required value" in caught.value.why

    def test_a_selector_cannot_be_changed(self, api):
        api.create(deployment())
        document = deployment()
        document["spec"]["selector"]["matchLabels"] = {"other": "one"}
        document["spec"]["template"]["metadata"]["labels"] = {"other": "one"}
        with pytest.raises(InputError) as caught:
            api.validate([document])
        assert "spec.selector" in caught.value.where
        assert "immutable" in caught.value.why

    def test_a_value_of_another_kind_is_told(self, api):
        with pytest.raises(InputError) as caught:
            api.validate([deployment(replicas="three")])
        assert caught.value.where == "Deployment/churn-stable: spec.replicas"
        assert "got string" in caught.value.why
        with pytest.raises(InputError, match="does not take Deployment/churn-stable") as caught:
            api.create(deployment(replicas="three"))
        assert "cannot unmarshal string" in caught.value.why

    def test_an_unknown_namespace_is_told(self, api_elsewhere):
        with pytest.raises(InputError) as caught:
            api_elsewhere.create(settings())
        assert "there is no namespace mmcicd-nowhere" in caught.value.what
        assert api_elsewhere.get("ConfigMap", "settings") is None

    def test_rights_are_known(self, api):
        assert api.may("patch", "apps", "deployments")
        assert api.may("get", "", "pods", subresource="log")

    def test_the_server_tells_its_version_and_who_we_are(self, api):
        assert api.version().startswith("v1.")
        assert api.account()

    def test_there_are_no_logs_of_no_pod(self, api):
        assert api.logs("nobody") == ""
        assert api.events("nobody") == []
