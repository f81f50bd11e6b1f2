"""`ledger verify`: prove the history of each model, or show the first place where it does not hold."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mmcicd_jenkins.adapters.credentials import login
from mmcicd_jenkins.adapters.git.answers import redact
from mmcicd_jenkins.adapters.git.ledger import GitLedger
from mmcicd_jenkins.adapters.git.places import is_local
from mmcicd_jenkins.adapters.signing import DsseSigner, read_trusted
from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.cli import ledger_images, report
from mmcicd_jenkins.cli.options import json_option, model_option, shared_option
from mmcicd_jenkins.config.laptop import on_this_machine
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.errors import IntegrityFailed, UsageError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.chain import PAYLOAD_TYPE
from mmcicd_jenkins.release.names import check_name
from mmcicd_jenkins.release.proof import ACCEPTED, UNSIGNED, Proof, Trust, prove
from mmcicd_jenkins.wiring import open_bench
from mmcicd_jenkins.wiring.ledger import ledger_address


@click.group(name="ledger")
def command() -> None:
    """Prove the history.

    Example: mmcicd-jenkins ledger verify --model churn
    """


@command.command(name="verify")
@model_option()
@click.option(
    "--zone",
    type=click.Choice(["laptop", "ops"]),
    help="Whose ledger it is; ops for an address, laptop for a path.",
)
@click.option(
    "--witness",
    metavar="NUMBER:DIGEST",
    help="An event noted earlier that must still be there (with --model); shows a cut-off end.",
)
@click.option(
    "--images", is_flag=True, help="Check the image and the signed statements of every release as well."
)
@click.option(
    "--deep", is_flag=True, help="With --images: read every byte of every layer, not its size alone."
)
@shared_option
@json_option
def verify(
    model: str | None,
    zone: str | None,
    witness: str | None,
    images: bool,
    deep: bool,
    shared: bool,
    as_json: bool,
) -> int:
    """Check every event, digest and signature; exit 7 at a break.

    Example: mmcicd-jenkins ledger verify --model churn --images
    """
    if deep and not images:
        raise UsageError("--deep reads the layers of images", fix="--images --deep")
    expected = _read_witness(witness, model)
    opened = _open(zone, shared=shared)
    models = (check_name(model, "model"),) if model else opened.ledger.models()
    proofs = [prove(name, opened.ledger.steps(name), opened.trust, witness=expected) for name in models]
    broken = next((proof for proof in proofs if proof.breaks), None)
    error = _error(broken, opened.address) if broken else None
    # Of a history that does not hold nothing is believed, so its images are not looked at.
    looked = _look_at_images(models, opened, deep=deep, shared=shared) if images and not error else []
    error = error or next((found.error() for found in looked if found.breaks), None)
    if as_json:
        report.emit(_document(proofs, opened, error, looked))
        return error.exit_code if error else 0
    report.out(f"ledger {opened.address}, keys of zone {opened.trust.zone}")
    for proof in proofs:
        report.out(_line(proof))
    for found in looked:
        report.out("\n".join(found.lines()))
    if not proofs:
        report.out("nothing is written yet")
    if error:
        raise error
    return 0


@dataclass(frozen=True, kw_only=True)
class _Opened:
    ledger: GitLedger
    address: str
    trust: Trust


def _open(zone: str | None, *, shared: bool) -> _Opened:
    config = load_config(Path.cwd())
    config = config if shared else on_this_machine(config)
    url = config.ledger.url
    trusted = read_trusted(config.root)
    signer = DsseSigner(trusted, None)
    own_zone = zone or ("laptop" if is_local(url) else "ops")

    def check(payload: bytes, signature: Mapping[str, str]) -> str:
        return signer.check(PAYLOAD_TYPE, payload, signature)

    return _Opened(
        ledger=GitLedger(
            ledger_address(config), signer=signer, clock=SystemClock(), login=login("ledger", os.environ)
        ),
        address=redact(url),
        trust=Trust(check=check, zone=own_zone, required=any(key.zone == own_zone for key in trusted)),
    )


def _look_at_images(
    models: Sequence[str], opened: _Opened, *, deep: bool, shared: bool
) -> list[ledger_images.Looked]:
    bench = open_bench(Path.cwd(), report.Lines(), shared=shared)
    authority = dataclasses.replace(
        bench.authority, accepted=ACCEPTED[opened.trust.zone], required=opened.trust.required
    )
    return [ledger_images.look(name, opened.ledger, bench.store, authority, deep=deep) for name in models]


def _read_witness(text: str | None, model: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, digest = text.partition(":")
    if not model or not (number.isascii() and number.isdigit() and digest.startswith("sha256:")):
        raise UsageError(
            f"--witness {text!r} cannot be used",
            why="it needs --model, and is NUMBER:sha256:DIGEST as an earlier 'ledger verify' printed it",
        )
    return int(number), digest


def _error(proof: Proof, address: str) -> IntegrityFailed:
    first = proof.breaks[0]
    others = len(proof.breaks) - 1
    place = " ".join(
        filter(None, [proof.model, first.place, first.commit and f"in commit {first.commit[:8]}"])
    )
    return IntegrityFailed(
        f"the history of {proof.model} does not hold"
        + (f" ({others} more breaks: --json)" if others else ""),
        where=place,
        why=first.what,
        fix=first.fix
        or f"look with: git log -p mmcicd/{proof.model} (in {address}); restore the branch from a copy",
    )


def _line(proof: Proof) -> str:
    if proof.breaks:
        return f"{proof.model}: BROKEN, {proof.events} events read"
    if not proof.events:
        return f"{proof.model}: no history yet"
    signers = ", ".join(
        f"{count} unsigned" if zone == UNSIGNED else f"{count} signed by {zone}"
        for zone, count in proof.signers.items()
    )
    return (
        f"{proof.model}: {proof.events} events hold, {report.counted(proof.releases, 'release')}; {signers}; "
        f"newest {proof.events}:{proof.last}"
    )


def _document(
    proofs: list[Proof], opened: _Opened, error: IntegrityFailed | None, looked: list[ledger_images.Looked]
) -> dict[str, Any]:
    images = {found.model: {"images": found.to_json()} for found in looked}
    document: dict[str, Any] = error.to_json() if error else {"exit_code": 0}
    document["ledger"] = opened.address
    document["zone"] = opened.trust.zone
    document["models"] = [
        {
            "model": proof.model,
            "holds": not proof.breaks,
            "events": proof.events,
            "releases": proof.releases,
            "newest": f"{proof.events}:{proof.last}",
            "signed_by": {zone: count for zone, count in proof.signers.items() if zone != UNSIGNED},
            "unsigned": proof.signers.get(UNSIGNED, 0),
            "breaks": [{"commit": b.commit, "place": b.place, "what": b.what} for b in proof.breaks],
            **images.get(proof.model, {}),
        }
        for proof in proofs
    ]
    return document
