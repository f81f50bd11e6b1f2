"""A stand-in for the API of a Kubernetes cluster, for tests that cannot have one: one server, a few namespaces, no nodes.

    from kubernetes_standin import serving
    with serving() as standin:
        place = Environment(name="production", kind="kubernetes", cluster=standin.address, namespace="ml")
        api = Api(connect(place, {"KUBECONFIG": str(standin.kubeconfig(tmp_path))}, "mmcicd.yaml:7:5"), "ml")

What is as in the real one, by the same tests (tests/contract/kubernetes_api_contract.py): `uid`, `resourceVersion` and their
preconditions, generations, server-side apply with owners of fields and conflicts, merge patches, creation, removal, dry run,
labels, pages of lists, access reviews, the words of refusals. What is not: defaults, schemas (but for the rules in
`rules.py`), watches, pods' own life.

Deployments are settled at once by `Controller`: pods with the template's labels, all ready, the status filled in.
    standin.broken["sha256:bad"] = "CrashLoopBackOff"   # new copies of images with this in their name wait for ever; "" = never ready
    standin.frozen = True; ...; standin.settle()         # nothing moves until told
    standin.forbidden.add(("patch", "services"))         # 403 as by RBAC, and No in access reviews
    standin.put(document); standin.get("Deployment", "churn-stable"); standin.logs["pod"] = "..."; standin.requests
    standin.refuse("PATCH", "/services/", 403, "exceeded quota: ...")  # the next one; `times`, `reason` by keyword

For broken connections put `fault_proxy.serve(standin.host)` before it and write the kubeconfig for that address:
    standin.kubeconfig(tmp_path, server=f"http://{proxy.host}"); proxy.on("PATCH", "/deployments/", drop_answer())
"""

from kubernetes_standin.server import StandIn, serving

__all__ = ["StandIn", "serving"]
