"""Is the controller one that can run what we generate: version, plugins, address, clock, how it serves reports. Pure."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from mmcicd_jenkins.checks.finding import Finding, Told, counted
from mmcicd_jenkins.ports.doctor import ControllerFacts, PluginFacts, SecurityFacts, Served

# The oldest release line that the generated pipelines and `jobs sync` were tried on.
OLDEST = (2, 541)
# Timestamps of approvals and signatures are read by people of several machines.
SKEW_SECONDS = 60.0
# A plugin that is but a list of others: its parts do as well.
_PARTS: Mapping[str, tuple[str, ...]] = {
    "workflow-aggregator": (
        "pipeline-build-step",
        "pipeline-input-step",
        "pipeline-milestone-step",
        "pipeline-model-definition",
        "workflow-basic-steps",
        "workflow-cps",
        "workflow-durable-task-step",
        "workflow-job",
        "workflow-multibranch",
        "workflow-scm-step",
    ),
}
# What is used when it is there, and what is lost without it.
WISHED: Mapping[str, str] = {
    "matrix-auth": "jobs sync cannot say who may press in ops, so whoever may build anywhere may promote; "
    "the approval still asks by name",
    "pipeline-rest-api": "jobs run cannot show or answer a question that a build asks",
}
_STATES = {
    "missing": "is not installed",
    "disabled": "is disabled",
    "failed": "did not start",
}
_FIXES = {
    "missing": "jenkins-plugin-cli --plugins {ids}, or Manage Jenkins, Plugins; then restart Jenkins",
    "disabled": "Manage Jenkins, Plugins, Installed: switch {ids} on; then restart Jenkins",
    "failed": "Manage Jenkins, System Log says why {ids} did not start; often another plugin is too old: update it",
}


def version(facts: ControllerFacts) -> Iterator[Finding]:
    """The controller itself, and who we are to it."""
    told = Told("jenkins", "controller")
    title = f"Jenkins {facts.version}".strip()
    number = tuple(int(part) for part in re.findall(r"\d+", facts.version)[:2])
    oldest = ".".join(map(str, OLDEST))
    if not number:
        yield told.warn(
            "Jenkins does not say its version, so whether it is new enough is not checked",
            f"it must be {oldest} or newer: Manage Jenkins, About; a proxy before it may remove the header X-Jenkins",
        )
    elif number < OLDEST:
        yield told.fail(
            f"Jenkins is {facts.version}; the generated pipelines were tried on {oldest} and newer",
            f"update Jenkins to an LTS of {oldest} or newer",
        )
    if not facts.account:
        yield told.fail(
            "nobody is logged in: no token was given",
            "export MMCICD_JENKINS_USER=YOU MMCICD_JENKINS_TOKEN=TOKEN, made on your Jenkins page under Security",
        )
    else:
        yield told.ok(f"your token ({facts.account})", title=title)
    if facts.quieting_down:
        yield told.fail(
            "Jenkins prepares to shut down and starts no build",
            "wait for its restart, or: Manage Jenkins, Cancel",
        )


def address(facts: ControllerFacts, configured: str, where: str) -> Iterator[Finding]:
    """Links in commit statuses, mails and our own output are made from the address that Jenkins believes in."""
    told = Told("jenkins", "address")
    if not facts.url:
        yield told.fail(
            "Jenkins does not know its own address, so builds have no links",
            f"Manage Jenkins, System, Jenkins URL: {configured}",
        )
    elif _same_place(facts.url) != _same_place(configured):
        yield told.warn(
            f"Jenkins calls itself {facts.url}, mmcicd.yaml calls it {configured}",
            f"jenkins: {{url: {facts.url}}}, or Manage Jenkins, System, Jenkins URL: {configured}",
            where=where,
        )
    else:
        yield told.ok("its address")


def _same_place(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port, parts.path.rstrip("/")


def clock(facts: ControllerFacts) -> Iterator[Finding]:
    told = Told("jenkins", "clock")
    ahead = facts.ahead_seconds
    if ahead is None:
        return
    if abs(ahead) > SKEW_SECONDS:
        yield told.warn(
            f"the clock of Jenkins is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's",
            "timedatectl set-ntp true, on the one that is wrong",
        )
    else:
        yield told.ok("its clock")


def plugins(needed: Mapping[str, str], found: Mapping[str, PluginFacts]) -> Iterator[Finding]:
    """Every plugin that the generated files use, and two that make life easier.

    Args:
        needed: plugin -> what for.
        found: what the controller has of `asked(needed)`.
    """
    told = Told("jenkins", "plugins")
    states: dict[str, list[str]] = {}
    for plugin in needed:
        for lacking in _lacking(plugin, found):
            states.setdefault(_state(lacking, found), []).append(lacking)
    for state, ids in states.items():
        uses = {needed.get(plugin, "pipelines") for plugin in ids}
        verb = _STATES[state] if len(ids) == 1 else _STATES[state].replace("is ", "are ")
        named = counted(ids, most=6)
        yield told.fail(
            f"{'plugin' if len(ids) == 1 else 'plugins'} {named} {verb}; needed for {counted(sorted(uses), most=6)}",
            _FIXES[state].format(ids=" ".join(ids)),
        )
    if not states:
        blind = any(found[plugin].state == "present" for plugin in needed if plugin in found)
        yield told.ok(f"{len(needed)} plugins" + (" (their versions are not shown to you)" if blind else ""))
    for plugin, loss in WISHED.items():
        if plugin not in needed and _is_lacking(plugin, found):
            yield told.warn(
                f"plugin {plugin} {_STATES[_state(plugin, found)]}: {loss}",
                _FIXES[_state(plugin, found)].format(ids=plugin),
            )


def asked(needed: Mapping[str, str]) -> tuple[str, ...]:
    """The plugins to look for, parts and wishes included."""
    parts = (part for plugin in needed for part in _PARTS.get(plugin, ()))
    return tuple(dict.fromkeys([*needed, *parts, *WISHED]))


def _lacking(plugin: str, found: Mapping[str, PluginFacts]) -> tuple[str, ...]:
    if not _is_lacking(plugin, found):
        return ()
    parts = _PARTS.get(plugin)
    if parts and _state(plugin, found) == "missing":
        absent = tuple(part for part in parts if _is_lacking(part, found))
        return (plugin,) if len(absent) == len(parts) else absent
    return (plugin,)


def _state(plugin: str, found: Mapping[str, PluginFacts]) -> str:
    return found[plugin].state if plugin in found else "missing"


def _is_lacking(plugin: str, found: Mapping[str, PluginFacts]) -> bool:
    return _state(plugin, found) in _STATES


def reports(served: Served | None) -> Iterator[Finding]:
    """Our report is a page with a style sheet and images beside it, no script."""
    told = Told("jenkins", "reports")
    if served is None:
        yield told.warn(
            "how Jenkins serves reports is not checked: it has no file userContent/readme.txt",
            "curl -sI JENKINS/job/JOB/1/artifact/report.html | grep -i content-security-policy",
        )
        return
    if served.own_domain:
        yield told.ok("reports from a domain of their own")
        return
    if not served.policy:
        yield told.warn(
            "Jenkins serves files of builds without a Content-Security-Policy: a page that a build made may act "
            "as whoever looks at it",
            "remove -Dhudson.model.DirectoryBrowserSupport.CSP= from its start, or set a Resource Root URL",
        )
        return
    blocked = [
        name
        for name, words in (("style", "style-src"), ("images", "img-src"))
        if not _allows(served.policy, words)
    ]
    if blocked:
        yield told.warn(
            f"the Content-Security-Policy of Jenkins blocks {' and '.join(blocked)} of reports",
            "start Jenkins with -Dhudson.model.DirectoryBrowserSupport.CSP="
            "\"sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';\"",
        )
    else:
        yield told.ok("reports are readable")


def _allows(policy: str, directive: str) -> bool:
    words = {d.split()[0].lower(): d.split()[1:] for d in policy.split(";") if d.split()}
    sources = words.get(directive, words.get("default-src"))
    return sources is None or any(s in {"'self'", "*", "http:", "https:"} for s in sources)


def security(facts: SecurityFacts) -> Iterator[Finding]:
    """Our pipelines ask for no script approval and put no secret into a Groovy string; others on Jenkins may."""
    told = Told("jenkins", "security")
    if facts.pending_approvals:
        yield told.warn(
            "scripts wait for an approval; none of ours does, ours need none",
            "look at Manage Jenkins, In-process Script Approval, and deny what nobody knows",
        )
    elif facts.pending_approvals is not None:
        yield told.ok("no script waits for approval")
    if facts.interpolation == "ignore":
        yield told.warn(
            "Jenkins says nothing when a pipeline puts a secret into a Groovy string",
            "start Jenkins with -Dorg.jenkinsci.plugins.workflow.cps.DSL.UNSAFE_GROOVY_INTERPOLATION=fail",
        )
