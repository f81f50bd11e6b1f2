"""Are the credentials there that mmcicd.yaml names, and none of ops' where a branch can use it. Pure."""

from collections.abc import Iterator, Mapping

from mmcicd_jenkins.checks.finding import Finding, Told, counted
from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class Zones:
    """The folders, as Jenkins names them; `above` are those around both, "" (Jenkins itself) first."""

    url: str
    ci: str
    ops: str
    above: tuple[str, ...]

    def page(self, folder: str) -> str:
        """Where the credentials of a folder are managed."""
        path = "".join(f"job/{part}/" for part in folder.split("/") if part)
        return f"{self.url.rstrip('/')}/{path or 'manage/'}credentials/"

    def form(self, folder: str) -> str:
        """Where one is added."""
        return f"{self.page(folder)}store/{'folder' if folder else 'system'}/domain/_/newCredentials"

    def chain(self, zone: str) -> tuple[str, ...]:
        """Every store whose credentials a job of the zone can use."""
        return (*self.above, self.ci if zone == "ci" else self.ops)


def stores_of(zones: Zones) -> tuple[str, ...]:
    return (*zones.above, zones.ci, zones.ops)


def ids(
    named: Mapping[str, Mapping[str, str]],
    stores: Mapping[str, tuple[str, ...] | None],
    zones: Zones,
    shared: frozenset[str],
    where: Mapping[str, str],
) -> Iterator[Finding]:
    """Each id in the store that it belongs to.

    Args:
        named: zone -> use -> id, as in mmcicd.yaml.
        stores: folder -> the ids in its store; None: it cannot be seen.
        shared: uses that both zones may see: they give no more rights in ops than in ci.
        where: `zone.use` -> its place in mmcicd.yaml.
    """
    told = Told("jenkins", "credentials")
    unseen: dict[str, list[str]] = {}
    good = 0
    for zone in ("ci", "ops"):
        for use, name in named.get(zone, {}).items():
            place = where.get(f"{zone}.{use}", "")
            if zone == "ops" and use.partition("-")[0] not in shared:
                yield from _exposed(told, use, name, named, stores, zones, place)
            holders = [folder for folder in zones.chain(zone) if name in (stores.get(folder) or ())]
            if holders:
                good += 1
            elif any(stores.get(folder) is None for folder in zones.chain(zone)):
                unseen.setdefault(zone, []).append(name)
            else:
                yield _absent(told, zone, use, name, zones, place)
    for zone, names in unseen.items():
        folder = zones.ci if zone == "ci" else zones.ops
        yield told.warn(
            f"you may not see the credentials of {folder}, so these are not checked: {counted(names, most=6)}",
            f"ask its owners whether they are at {zones.page(folder)}, or for Credentials/View there",
        )
    if good:
        yield told.ok(f"{good} credentials" if good > 1 else "1 credential")


def _exposed(
    told: Told,
    use: str,
    name: str,
    named: Mapping[str, Mapping[str, str]],
    stores: Mapping[str, tuple[str, ...] | None],
    zones: Zones,
    place: str,
) -> Iterator[Finding]:
    """What only ops may use, where every branch's pipeline can ask for it."""
    seen = [folder for folder in zones.chain("ci") if name in (stores.get(folder) or ())]
    for folder in seen:
        store = folder or "Jenkins' own store"
        yield told.fail(
            f"credential {name} ({use} of ops) lies in {store}, where every branch can use it",
            f"add it at {zones.form(zones.ops)}, then delete it at {zones.page(folder)}",
            where=place,
        )
    if not seen and name in named.get("ci", {}).values():
        yield told.fail(
            f"credential {name} is named for ci as well as for {use} of ops, so every branch can use it",
            "make two, with different rights, and name the weaker one in jenkins.credentials.ci",
            where=place,
        )


def _absent(told: Told, zone: str, use: str, name: str, zones: Zones, place: str) -> Finding:
    folder = zones.ci if zone == "ci" else zones.ops
    return told.fail(
        f"credential {name} ({use} of {zone}) is not in {folder}",
        f"add it with the id {name} at {zones.form(folder)}",
        where=place,
    )
