"""What the account of this machine may do in the store's registry, against what its side has to do there. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mmcicd_jenkins.checks.finding import Finding, Told, counted
from mmcicd_jenkins.ports.doctor import RegistryRight
from mmcicd_jenkins.records import dataclass

_VERBS: Mapping[RegistryRight, str] = {"read": "read", "write": "push to", "delete": "delete from"}


@dataclass(frozen=True, kw_only=True)
class Need:
    """One right in one repository, and why it was not given; "" when it was."""

    repository: str
    right: RegistryRight
    why_not: str = ""


def rights(root: str, who: str, needs: Iterable[Need], where: str) -> Iterator[Finding]:
    """What was asked of the registry at `root` as `who`."""
    told, listed = Told("store", "registry"), list(needs)
    host = root.partition("/")[0]
    yield told.ok(f"{host} answers, asked as {who}")
    lacking = [need for need in listed if need.why_not]
    if lacking and lacking == listed:  # said once: it is one login that is wrong
        yield told.warn(
            f"no right to anything below {root}: {lacking[0].why_not}", _fix(host, "read"), where=where
        )
        return
    for right in dict.fromkeys(need.right for need in lacking):
        group = [need for need in lacking if need.right == right]
        yield told.warn(
            f"no right to {_VERBS[right]} {_named(root, group)}: {group[0].why_not}",
            _fix(host, right),
            where=where,
        )
    given = [need.repository for need in listed if not need.why_not and need.right == "write"]
    if given:
        yield told.ok(f"pushes to {counted(given, most=6)}")


def _named(root: str, needs: Sequence[Need]) -> str:
    return counted([f"{root}/{need.repository}" for need in needs], most=6)


def _fix(host: str, right: RegistryRight) -> str:
    if right == "delete":
        return "only gc needs it: give that right, and switch deletion on in the registry"
    return (
        f"docker login {host} as an account that may, or set MMCICD_REGISTRY_USER and _PASSWORD; builds use the one of "
        "jenkins.credentials, whose rights are in docs/howto/registry.md"
    )
