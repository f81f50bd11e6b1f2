"""Is there an agent for every stage: by label, by cloud, online. Pure."""

import difflib
from collections.abc import Iterable, Iterator, Mapping

from mmcicd_jenkins.checks.finding import Finding, Told, counted
from mmcicd_jenkins.ports.doctor import LabelFacts, Node


def labels(
    found: Mapping[str, LabelFacts], nodes: Iterable[Node], where: Mapping[str, str]
) -> Iterator[Finding]:
    """One finding for each label that has no agent; one ok for those that have.

    Args:
        found: label expression -> what stands behind it.
        nodes: every agent, for the nearest name.
        where: label expression -> its place in mmcicd.yaml.
    """
    told = Told("jenkins", "agents")
    listed = tuple(nodes)
    good = []
    for label, facts in found.items():
        usable = [node for node in facts.nodes if node.online and node.executors > 0]
        if usable:
            good.append(label if len(usable) == 1 else f"{label} ({len(usable)} online)")
        elif facts.clouds:
            good.append(f"{label} (made by {counted(facts.clouds)})")
        elif facts.nodes:
            yield _asleep(told, label, facts.nodes, where.get(label, ""))
        else:
            yield _unknown(told, label, listed, where.get(label, ""))
    if good:
        yield told.ok(f"agents {', '.join(good)}")


def _asleep(told: Told, label: str, nodes: tuple[Node, ...], where: str) -> Finding:
    idle = [node for node in nodes if node.online]
    if idle:
        return told.fail(
            f"{counted(node.name for node in idle)} with the label {label} has no executor",
            f"Manage Jenkins, Nodes, {idle[0].name}, Configure: Number of executors 1; better, another agent",
            where=where,
        )
    first = nodes[0]
    why = f": {first.why}" if first.why else ""
    names = counted(node.name for node in nodes)
    return told.fail(
        f"no agent with the label {label} is online; offline: {names}{why}",
        f"Manage Jenkins, Nodes, {first.name}: bring it online, or look at its log",
        where=where,
    )


def _unknown(told: Told, label: str, nodes: tuple[Node, ...], where: str) -> Finding:
    known = sorted({name for node in nodes for name in node.labels if name != node.name})
    near = difflib.get_close_matches(label, known, n=1, cutoff=0.5)
    hint = f"jenkins.agents: write {near[0]}; or give" if near else "give"
    there = f"; labels that there are: {counted(known, most=8)}" if known else ""
    return told.fail(
        f"no agent has the label {label}{there}",
        f"{hint} an agent the label {label}: Manage Jenkins, Nodes, AGENT, Configure, Labels",
        where=where,
    )


def pods(wanted: Mapping[str, str], clouds: tuple[str, ...] | None) -> Iterator[Finding]:
    """Agents that are made in a cluster.

    Args:
        wanted: cloud ("" = whichever there is) -> its place in mmcicd.yaml.
    """
    told = Told("jenkins", "pods")
    if not wanted:
        return
    if clouds is None:
        names = counted(sorted(filter(None, wanted))) or "any"
        yield told.warn(
            f"pods are asked for, and you may not see the clouds of Jenkins, so they are not checked (wanted: {names})",
            "ask an administrator to look at Manage Jenkins, Clouds, and to press Test Connection there",
        )
        return
    missing = [cloud for cloud in wanted if (cloud not in clouds if cloud else not clouds)]
    for cloud in missing:
        has = f"; there are {counted(clouds)}" if clouds else ""
        yield told.fail(
            f"pods are asked for, and Jenkins has no cloud {cloud}{has}".replace(
                "no cloud ;", "no cloud;"
            ).rstrip(),
            "Manage Jenkins, Clouds, New cloud, Kubernetes" + (f", name {cloud}" if cloud else ""),
            where=wanted[cloud],
        )
    if not missing:
        yield told.ok(f"cloud {counted(filter(None, wanted)) or counted(clouds)}")
