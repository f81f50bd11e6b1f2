"""`jenkins.credentials`: is each use one that exists, can one secret serve it, and is what ops needs there.

Only when a file names credentials at all is a missing one worth a word: agents may have rights of their own.
"""

from pathlib import Path

from mmcicd_jenkins.config.credential_uses import (
    DATA_KINDS,
    MONITOR,
    USES,
    Zone,
    data_kind,
    data_kinds,
    git_kind,
)
from mmcicd_jenkins.config.findings import Findings
from mmcicd_jenkins.config.marks import KeyPath
from mmcicd_jenkins.config.places import host_of, is_file
from mmcicd_jenkins.config.schema import FileSection, JenkinsSection
from mmcicd_jenkins.config.suggest import nearest

_AT: KeyPath = ("jenkins", "credentials")
_ZONES: tuple[Zone, ...] = ("ci", "ops")
_DATA_USES = tuple(f"data-{kind}" for kind in DATA_KINDS)
_NEVER_IN_CI = "whoever can push a branch can use what is in ci"


def check_credentials(file: FileSection, findings: Findings, root: Path) -> None:
    jenkins = file.jenkins
    if jenkins is None:
        return
    _check_names(file, findings)
    for name in jenkins.credentials:
        if name not in _ZONES:
            findings.add((*_AT, name), "the folders are ci and ops", "write ci or ops", on="key")
    for zone in _ZONES:
        for use in jenkins.credentials.get(zone, {}):
            _check_use(zone, use, file, findings)
        _check_data(zone, jenkins, file, findings)
    if jenkins.credentials:
        _warn_of_missing(jenkins, file, findings, root)


def _check_names(file: FileSection, findings: Findings) -> None:
    """An environment is a use as well, so the two may not meet."""
    for name, environment in file.environments.items():
        looking = [MONITOR.format(environment=other) for other in file.environments]
        if environment.kind == "kubernetes" and name in (*USES["ops"], *_DATA_USES, *looking):
            what = f"jenkins.credentials.ops.{name} is the credential of something else"
            findings.add(("environments", name), what, "give the environment another name", on="key")


def _check_use(zone: Zone, use: str, file: FileSection, findings: Findings) -> None:
    at = (*_AT, zone, use)
    places = [name for name, place in file.environments.items() if place.kind == "kubernetes"]
    looking = [MONITOR.format(environment=name) for name in places]
    known = (*USES[zone], *_DATA_USES, *((*places, *looking) if zone == "ops" else ()))
    if use in known:
        _warn_of_unused(at, use, file, findings)
    elif zone == "ci" and (use == "signing" or use in (*places, *looking)):
        findings.add(at, f"this credential may not be in ci: {_NEVER_IN_CI}", "move it to ops", on="key")
    elif use in file.environments:
        findings.warn(at, f"{use} is local: it needs no credential", "delete this line")
    else:
        near = nearest(use, known)
        fix = f"did you mean `{near}`?" if near else f"write one of {', '.join(known)}"
        what = "there is no such use" + (", and no such environment" if zone == "ops" else "")
        findings.add(at, what, fix, on="key")


def _urls(file: FileSection) -> list[str]:
    return [source.url for model in file.models.values() for source in model.data.values()]


def _warn_of_unused(at: KeyPath, use: str, file: FileSection, findings: Findings) -> None:
    url = file.ledger.url or ""
    if use == "ledger" and not git_kind(url):
        findings.warn(at, "the ledger has no address that asks for a credential", "delete this line")
    elif use == "ledger" and url.lower().startswith("http://"):
        findings.warn(at, "the password of the ledger goes over the network as it is", "use https://")
    elif use == "registry" and not file.store.registry:
        findings.warn(at, "there is no registry", "add store.registry, or delete this line")
    elif use == "prometheus" and not any(p.monitor.prometheus for p in file.environments.values()):
        findings.warn(at, "no environment names a Prometheus", "add monitor.prometheus, or delete this line")
    elif use == "serving" and not any(p.proxy and p.proxy.users_secret for p in file.environments.values()):
        findings.warn(
            at, "no environment asks callers for a password", "add proxy.users_secret, or delete this line"
        )
    elif use in _DATA_USES and use.removeprefix("data-") not in data_kinds(_urls(file)):
        findings.warn(at, f"no data come from {use.removeprefix('data-')}", "delete this line")
    elif use == "data" and not data_kinds(_urls(file)):
        findings.warn(at, "no data come from s3, gs or https", "delete this line")


def _check_data(zone: Zone, jenkins: JenkinsSection, file: FileSection, findings: Findings) -> None:
    """One secret is of one kind, and a password is for one server."""
    written = jenkins.credentials.get(zone, {})
    kinds = data_kinds(_urls(file))
    if "data" in written and len(kinds) > 1:
        what = f"data come from {' and '.join(kinds)}, and one credential cannot be for all"
        fix = "write " + ", ".join(f"data-{kind}: ID" for kind in kinds) + " for those that need one"
        findings.add((*_AT, zone, "data"), what, fix, on="key")
    use = "data-https" if "data-https" in written else "data"
    hosts = {host_of(url) for url in _urls(file) if data_kind(url) == "https"}
    if use in written and len(hosts) > 1 and (use == "data-https" or kinds == ("https",)):
        what = f"this password is given to each of {', '.join(sorted(hosts))} that asks for one"
        findings.warn((*_AT, zone, use), what, "keep data that need a password on one server")


def _warn_of_missing(jenkins: JenkinsSection, file: FileSection, findings: Findings, root: Path) -> None:
    ops, ci = jenkins.credentials.get("ops", {}), jenkins.credentials.get("ci", {})
    at: KeyPath = (*_AT, "ops") if "ops" in jenkins.credentials else _AT

    def warn(use: str, what: str) -> None:
        findings.warn(
            at, f"ops has no credential {use}: {what}", f"add `{use}: ID`, unless ops agents have their own"
        )

    if git_kind(file.ledger.url or "") and "ledger" not in ops:
        warn("ledger", "release, promote and rollback write the ledger")
    if file.store.registry and "registry" not in (*ops, *ci):
        warn("registry", "release pushes the image")
    if is_file(root / "mmcicd.keys") and "signing" not in ops:
        warn("signing", "mmcicd.keys trusts keys, and what ops writes must be signed")
    for name, environment in file.environments.items():
        if environment.kind == "kubernetes" and name not in ops:
            warn(name, f"deploying to {name} needs its cluster")
