"""`render kubernetes`: what a deployment of a version would apply, for eyes, for `kubectl` and for GitOps.

Asks no cluster, but for `--diff`, which has the cluster say what it would change.
"""

from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import environment_option, json_option, model_option
from mmcicd_jenkins.cli.render_eject import eject, eject_options, require_eject
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.release.object_changes import ObjectChange, change_lines, changes_json
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.seal import Manifest, manifest_digest
from mmcicd_jenkins.render.kubernetes import TEMPLATES, manifest_text, render_manifest
from mmcicd_jenkins.stages.manifests import fresh_manifest
from mmcicd_jenkins.wiring import Bench, open_bench


@click.command(name="kubernetes")
@model_option()
@environment_option("The environment (may be left out when one is of kind kubernetes).")
@click.option(
    "--version",
    type=click.IntRange(min=1),
    help="The release. Default: the one that serves there, else the newest.",
)
@click.option("--image", metavar="NAME@DIGEST", help="As if the version had this image; asks no ledger.")
@click.option("--diff", "differs", is_flag=True, help="Ask the cluster what that would change there.")
@eject_options("deployment")
@json_option
def kubernetes(
    model: str | None,
    environment: str | None,
    version: int | None,
    image: str | None,
    differs: bool,
    ejects: bool,
    names: tuple[str, ...],
    as_json: bool,
) -> int:
    """Print the objects that a deployment would apply, as YAML; with --diff, what they would change in the cluster.

    Example: mmcicd-jenkins render kubernetes --env production --version 7
    """
    require_eject(names, ejects=ejects)
    if differs and ejects:
        raise UsageError("--diff and --eject do not go together")
    bench = open_bench(Path.cwd(), report.Lines(), shared=True)
    if ejects:
        return eject(bench.config.root, TEMPLATES, names, as_json=as_json)
    place = _place(bench, environment)
    one, number, manifest = _rendered(bench, model, place, version, image)
    if differs:
        return _compared(place, bench.clusters.changes(place, manifest), as_json=as_json)
    return _told(one, place, number, manifest, as_json=as_json)


def _rendered(
    bench: Bench, model: str | None, place: Environment, version: int | None, image: str | None
) -> tuple[str, int, Manifest]:
    if image is not None:
        if "@sha256:" not in image:
            raise UsageError(f"--image {image} names no digest", fix="write --image NAME@sha256:...")
        one, number = bench.model(model), version or 1
        return one.name, number, render_manifest(bench.config, one, place, number, image)
    release = _release(bench, bench.model(model).name, place, version)
    job = bench.job(release.model, environment=place.name, version=release.version)
    return release.model, release.version, fresh_manifest(release, place, job, bench.ports)


def _place(bench: Bench, name: str | None) -> Environment:
    places = {n: place for n, place in bench.config.environments.items() if place.kind == "kubernetes"}
    if name is None and len(places) == 1:
        return next(iter(places.values()))
    if name in places:
        return places[name]
    if not places:
        raise UsageError(
            "no environment is of kind kubernetes",
            where=bench.config.mark("environments"),
            fix="environments: {production: {kind: kubernetes, cluster: https://..., namespace: ...}}",
        )
    what = "which environment?" if name is None else f"{name!r} is no environment of kind kubernetes"
    raise UsageError(what, where=bench.config.file, fix="--env " + " or --env ".join(places))


def _release(bench: Bench, model: str, place: Environment, version: int | None) -> Release:
    snapshot = bench.ledger.snapshot(model)
    pointer = snapshot.pointers.get(place.name)
    serving = pointer.serving if pointer else None
    # A number may be reserved for what never became a release.
    candidates = [version or serving] if version or serving else range(snapshot.head.versions, 0, -1)
    for number in candidates:
        release = bench.ledger.release(model, number) if number else None
        if release is not None:
            return release
    what = f"{model} has no release {version}" if version else f"{model} has no release yet"
    raise UsageError(
        what,
        why="a version becomes a release when it passed its gates and verify",
        fix=f"mmcicd-jenkins history --shared --model {model}; or --image NAME@sha256:... to look without one",
    )


def _told(model: str, place: Environment, version: int, manifest: Manifest, *, as_json: bool) -> int:
    if as_json:
        report.emit(
            {
                "model": model,
                "environment": place.name,
                "version": version,
                "digest": manifest_digest(manifest),
                "documents": [dict(document) for document in manifest],
            }
        )
        return 0
    report.out(manifest_text(manifest).rstrip("\n"))
    return 0


def _compared(place: Environment, changes: tuple[ObjectChange, ...], *, as_json: bool) -> int:
    if as_json:
        report.emit({"environment": place.name, "changes": changes_json(changes)})
        return 0
    # In a log nothing is cut, for it is read by search.
    lines = change_lines(changes, report.stdout_columns() or 1000)
    report.out("\n".join(lines) if lines else f"{place.name} would stay as it is")
    return 0
