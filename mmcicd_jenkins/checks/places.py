"""Where model bytes lie and models serve: folders, registries, ports. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from mmcicd_jenkins.checks.finding import Finding, Told
from mmcicd_jenkins.ports.doctor import Disk, Port

GIB = 2**30
# A model with its layers is written twice before it serves; below this the first big one fails.
SCARCE_BYTES = 2 * GIB
FULL_BYTES = GIB // 4


def folder(told: Told, name: str, disk: Disk, where: str = "") -> Iterator[Finding]:
    """A folder that we write to."""
    if not disk.writable:
        yield told.fail(
            f"{name} cannot be written: {disk.path}", f"sudo chown $(id -u) '{disk.path}'", where=where
        )
    elif disk.free_bytes < FULL_BYTES:
        yield told.fail(
            f"{name} has {_size(disk.free_bytes)} left: {disk.path}",
            f"free some space on that disk: df -h '{disk.path}'",
            where=where,
        )
    elif disk.free_bytes < SCARCE_BYTES:
        yield told.warn(
            f"{name} has {_size(disk.free_bytes)} left: {disk.path}", f"df -h '{disk.path}'", where=where
        )
    else:
        yield told.ok(f"{name} ({_size(disk.free_bytes)} free)")


def beside(told: Told, what: str, path: str, fix: str, where: str) -> Finding:
    """Something that many jobs share, in a place that each checkout has of its own."""
    return told.fail(
        f"{what} is {path}, relative to the checkout; each job of Jenkins has a checkout of its own, so no job "
        "would find what another wrote",
        fix,
        where=where,
    )


def ports(name: str, found: Iterable[Port], where: str) -> Iterator[Finding]:
    """An environment on this machine."""
    told = Told("environments", name)
    listed = list(found)
    for port in listed:
        if not port.free and not port.ours:
            yield told.fail(
                f"port {port.number} of {name} is taken by another program",
                f"ss -ltnp 'sport = :{port.number}' names it; stop it, or set environments.{name}.rest_port and grpc_port",
                where=where,
            )
    if all(port.free or port.ours for port in listed):
        serving = ", serving" if any(port.ours for port in listed) else ""
        yield told.ok(f"{name} (ports {', '.join(str(p.number) for p in listed)}{serving})")


def elsewhere(names: Sequence[str], where: str) -> Finding:
    """Local environments of Jenkins: they serve on the agent that deploys, where nobody looked."""
    verb = "serves" if len(names) == 1 else "serve"
    return Told("environments", "places").warn(
        f"{' and '.join(names)} {verb} on the agent that deploys; folders and ports there are not checked",
        "on that agent, in a checkout: mmcicd-jenkins doctor --here",
        where=where,
    )


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GiB" if count < 100 * GIB else f"{count / GIB:.0f} GiB"
