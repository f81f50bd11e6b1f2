"""Whether a pod keeps Kubernetes' Pod Security Standards, `baseline` and `restricted`, as version 1.34 has them. Pure.

Asked of every manifest that holds pods, before a cluster is. User namespaces loosen nothing here, as in a cluster that
has not asked for it. What is no mapping or list where one belongs is an error of the API, and is taken for absent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from mmcicd_jenkins.records import dataclass

Level = Literal["baseline", "restricted"]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One field that the standard does not allow, and what it may be. `field` is its path in the document."""

    field: str
    what: str
    fix: str


def pod_security(document: Mapping[str, Any], level: Level = "restricted") -> tuple[Violation, ...]:
    """Everything in a Pod, or in the template of a workload, that the level does not allow; () for other kinds."""
    pod = _pod_in(document)
    if pod is None:
        return ()
    rules = _BASELINE if level == "baseline" else (*_BASELINE, *_RESTRICTED)
    return tuple(violation for rule in rules for violation in rule(pod))


class _Part:
    """A mapping in the document with its path."""

    def __init__(self, path: str, value: Any) -> None:
        self.path = path
        self.value: Mapping[str, Any] = value if isinstance(value, Mapping) else {}

    def __getitem__(self, key: str) -> "_Part":
        return _Part(f"{self.path}.{key}".removeprefix("."), self.value.get(key))

    def get(self, key: str) -> Any:
        return self.value.get(key)

    def all(self, key: str) -> Iterator["_Part"]:
        for index, item in enumerate(_listed(self.value.get(key))):
            yield _Part(f"{self.path}.{key}[{index}]", item)

    def wrong(self, key: str, what: str, fix: str) -> Violation:
        return Violation(field=f"{self.path}.{key}".removeprefix("."), what=what, fix=fix)


@dataclass(frozen=True, kw_only=True)
class _Pod:
    metadata: _Part
    spec: _Part

    @property
    def context(self) -> _Part:
        return self.spec["securityContext"]

    @property
    def containers(self) -> tuple[_Part, ...]:
        kinds = ("initContainers", "containers", "ephemeralContainers")
        return tuple(container for kind in kinds for container in self.spec.all(kind))

    @property
    def contexts(self) -> tuple[_Part, ...]:
        return tuple(container["securityContext"] for container in self.containers)

    @property
    def is_windows(self) -> bool:
        name: object = self.spec["os"].get("name")
        return name == "windows"


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _pod_in(document: Mapping[str, Any]) -> _Pod | None:
    whole = _Part("", document)
    if document.get("kind") == "Pod":
        return _Pod(metadata=whole["metadata"], spec=whole["spec"])
    below = whole["spec"]["jobTemplate"]["spec"] if document.get("kind") == "CronJob" else whole["spec"]
    if "template" not in below.value:
        return None
    return _Pod(metadata=below["template"]["metadata"], spec=below["template"]["spec"])


def _shared_namespaces(pod: _Pod) -> Iterator[Violation]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(key):
            yield pod.spec.wrong(key, "the pod would share the node's own", "delete it")


def _host_paths(pod: _Pod) -> Iterator[Violation]:
    for volume in pod.spec.all("volumes"):
        if volume.get("hostPath") is not None:
            yield volume.wrong(
                "hostPath", "the pod would read the node's files", "use another kind of volume"
            )


def _host_ports(pod: _Pod) -> Iterator[Violation]:
    for container in pod.containers:
        for port in container.all("ports"):
            if port.get("hostPort"):
                yield port.wrong(
                    "hostPort", "a port of the node itself", "delete it; a Service reaches the pod"
                )


def _host_handlers(pod: _Pod) -> Iterator[Violation]:
    for container in pod.containers:
        hooks = [container["lifecycle"][name] for name in ("postStart", "preStop")]
        probes = [container[name] for name in ("livenessProbe", "readinessProbe", "startupProbe")]
        for handler in (*probes, *hooks):
            for way in ("httpGet", "tcpSocket"):
                if handler[way].get("host"):
                    yield handler[way].wrong("host", "the node would ask another host", "delete it")


def _host_processes(pod: _Pod) -> Iterator[Violation]:
    for context in (pod.context, *pod.contexts):
        if context["windowsOptions"].get("hostProcess"):
            yield context["windowsOptions"].wrong("hostProcess", "runs on the node itself", "delete it")


def _privileged(pod: _Pod) -> Iterator[Violation]:
    for context in pod.contexts:
        if context.get("privileged"):
            yield context.wrong("privileged", "the container could do all that the node can", "false")


# What a runtime gives a container that asks for nothing.
_USUAL_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)


def _usual_capabilities(pod: _Pod) -> Iterator[Violation]:
    return _added_capabilities(pod, _USUAL_CAPABILITIES)


def _added_capabilities(pod: _Pod, allowed: frozenset[str]) -> Iterator[Violation]:
    for context in pod.contexts:
        beyond = [name for name in _listed(context["capabilities"].get("add")) if name not in allowed]
        if beyond:
            yield context["capabilities"].wrong("add", f"{beyond[0]} may not be added", "delete it")


def _profiles(pod: _Pod) -> Iterator[Violation]:
    for context in (pod.context, *pod.contexts):
        for name in ("appArmorProfile", "seccompProfile"):
            if context.get(name) is not None and not _is_confined(context[name]):
                yield context[name].wrong(
                    "type", "the profile confines nothing", "RuntimeDefault or Localhost"
                )
    for key, value in _Part("", pod.metadata.get("annotations")).value.items():
        if str(key).startswith("container.apparmor.security.beta.kubernetes.io/"):
            text = str(value or "")
            if text and text != "runtime/default" and not text.startswith("localhost/"):
                yield pod.metadata["annotations"].wrong(
                    key, "the profile confines nothing", "runtime/default"
                )


def _is_confined(profile: _Part) -> bool:
    return profile.get("type") in {"RuntimeDefault", "Localhost"}


def _masked_proc(pod: _Pod) -> Iterator[Violation]:
    for context in pod.contexts:
        if context.get("procMount") not in {None, "Default"}:
            yield context.wrong("procMount", "parts of /proc would be laid open", "Default")


_SELINUX_TYPES = frozenset(
    {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)


def _selinux(pod: _Pod) -> Iterator[Violation]:
    for context in (pod.context, *pod.contexts):
        options = context["seLinuxOptions"]
        if options.get("type") not in _SELINUX_TYPES:
            yield options.wrong("type", "this SELinux type confines too little", "container_t")
        for key in ("user", "role"):
            if options.get(key):
                yield options.wrong(key, "may not be set", "delete it")


# Those that a pod has of its own and that harm nobody beside it.
_SYSCTLS = frozenset(
    ["kernel.shm_rmid_forced"]
    + [
        f"net.ipv4.{name}"
        for name in (
            "ip_local_port_range", "ip_local_reserved_ports", "ip_unprivileged_port_start", "ping_group_range",
            "tcp_fin_timeout", "tcp_keepalive_intvl", "tcp_keepalive_probes", "tcp_keepalive_time", "tcp_rmem",
            "tcp_syncookies", "tcp_wmem",
        )
    ]
)  # fmt: skip


def _sysctls(pod: _Pod) -> Iterator[Violation]:
    for one in pod.context.all("sysctls"):
        if one.get("name") not in _SYSCTLS:
            yield one.wrong("name", f"{one.get('name')} may not be set", "delete it")


_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)


def _volumes(pod: _Pod) -> Iterator[Violation]:
    for volume in pod.spec.all("volumes"):
        kinds = [key for key, value in volume.value.items() if key != "name" and value is not None]
        # One of no kind is an emptyDir.
        if kinds and not any(kind in _VOLUMES for kind in kinds):
            fix = "emptyDir, configMap, secret and such"
            yield volume.wrong(kinds[0], "this kind of volume is not allowed", fix)


def _no_escalation(pod: _Pod) -> Iterator[Violation]:
    for context in () if pod.is_windows else pod.contexts:
        if context.get("allowPrivilegeEscalation") is not False:
            yield context.wrong("allowPrivilegeEscalation", "a program could gain rights", "false")


def _not_root(pod: _Pod) -> Iterator[Violation]:
    inherited = pod.context.get("runAsNonRoot")
    if inherited is not None and not inherited:
        yield pod.context.wrong("runAsNonRoot", "the pod may run as root", "true")
    for context in pod.contexts:
        own = context.get("runAsNonRoot")
        if not (inherited if own is None else own):
            yield context.wrong("runAsNonRoot", "the container may run as root", "true, here or for the pod")


def _user(pod: _Pod) -> Iterator[Violation]:
    for context in (pod.context, *pod.contexts):
        user = context.get("runAsUser")
        if user is not None and not user:
            yield context.wrong("runAsUser", "0 is root", "another number, such as 10001")


def _seccomp(pod: _Pod) -> Iterator[Violation]:
    if pod.is_windows or _is_confined(pod.context["seccompProfile"]):
        return
    for context in pod.contexts:
        if context.get("seccompProfile") is None:
            yield context["seccompProfile"].wrong("type", "is missing", "RuntimeDefault, here or for the pod")


def _few_capabilities(pod: _Pod) -> Iterator[Violation]:
    if pod.is_windows:
        return
    for context in pod.contexts:
        if "ALL" not in _listed(context["capabilities"].get("drop")):
            yield context["capabilities"].wrong("drop", "does not drop ALL", "[ALL]")
    yield from _added_capabilities(pod, frozenset({"NET_BIND_SERVICE"}))


_Rule = Callable[[_Pod], Iterator[Violation]]
_BASELINE: tuple[_Rule, ...] = (
    _shared_namespaces, _host_paths, _host_ports, _host_handlers, _host_processes, _privileged, _usual_capabilities,
    _profiles, _masked_proc, _selinux, _sysctls,
)  # fmt: skip
_RESTRICTED: tuple[_Rule, ...] = (_volumes, _no_escalation, _not_root, _user, _seccomp, _few_capabilities)
