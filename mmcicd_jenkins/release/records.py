"""The immutable records: a gate's outcome and a release."""

from collections.abc import Mapping
from dataclasses import field

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class GateOutcome:
    """One rule on one slice (`slice` is "" for the whole test data, else `column=value`).

    `counts` is False when the rule compares with a champion that does not exist yet: it is shown and
    does not decide. `reason` is a whole sentence with its numbers.
    """

    rule: str
    slice: str
    verdict: Verdict
    value: float | None
    limit: float | None
    baseline: float | None
    samples: int
    reason: str
    counts: bool = True


@dataclass(frozen=True, kw_only=True)
class GateReport:
    """All rules together. `champion` is the version compared with, None when there is none."""

    verdict: Verdict
    outcomes: tuple[GateOutcome, ...]
    champion: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Release:
    """A version that passed its gates and `verify`. Never changed; enough to serve it again and to trace it.

    `layers` are the OCI descriptors of the model's files in the store. `data` maps a source to the
    digest of its bytes. `metrics` are the overall values that were judged. `builder` is a build URL or
    a laptop's `user@host`. `created` is ISO 8601 in UTC. `warmup` is the descriptor of the layer with the warm-up
    requests that we made, {} when there is none; `stands_on` is the base image as `{base, digest, platforms}`. `attestations` are the signed statements that lie with the
    image: kind -> digest of the envelope's bytes; {} in records of earlier versions. `verified_with` are the further
    serving versions that it was tried on: base -> its digest.
    """

    model: str
    version: int
    run_id: str
    commit: str
    branch: str
    author: str
    data: Mapping[str, str]
    parameters: Mapping[str, object]
    metrics: Mapping[str, float | None]
    gates: GateReport
    model_digest: str
    model_size: int
    layers: tuple[Mapping[str, object], ...]
    image_digest: str
    evaluation: str
    manifest_digest: str
    builder: str
    created: str
    reference: Mapping[str, object] = field(default_factory=dict)
    warmup: Mapping[str, object] = field(default_factory=dict)
    stands_on: Mapping[str, object] = field(default_factory=dict)
    attestations: Mapping[str, str] = field(default_factory=dict)
    verified_with: Mapping[str, str] = field(default_factory=dict)
