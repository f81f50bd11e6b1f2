"""What is stated of a released image, as in-toto Statements (v1): its release record, its origin, its packages. Pure.

Every statement has the same subjects, the image by the digest that serves and the model by its own. The origin is
SLSA provenance v1, Build level 1: it is made by the pipeline itself, not by something that the pipeline cannot touch.
What is written here is checked here again, word for word.
"""

from collections.abc import Mapping
from dataclasses import field

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canonical import digest_of
from mmcicd_jenkins.release.documents import from_document, to_document
from mmcicd_jenkins.release.package_list import PREDICATE as PACKAGES_PREDICATE
from mmcicd_jenkins.release.package_list import package_list
from mmcicd_jenkins.release.records import Release

STATEMENT = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
RELEASE_PREDICATE = "https://mmcicd.io/release/v1"
PROVENANCE_PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://mmcicd.io/build/v1"

# What a statement is stored as beside its image (in-toto's own media types of envelopes), by the name of its kind.
KINDS: Mapping[str, str] = {
    "release": "application/vnd.in-toto.mmcicd-release+dsse",
    "provenance": "application/vnd.in-toto.provenance+dsse",
    "packages": "application/vnd.in-toto.cyclonedx+dsse",
}
PREDICATES: Mapping[str, str] = {
    "release": RELEASE_PREDICATE,
    "provenance": PROVENANCE_PREDICATE,
    "packages": PACKAGES_PREDICATE,
}


@dataclass(frozen=True, kw_only=True)
class Making:
    """How a release was made, as far as its record does not say: of the training, the repository and the base.

    `trainer` is the build that trained, `trained` when it ended; `environment` the digest of its requirements or image.
    """

    source: str
    command: str
    seed: int
    trainer: str
    trained: str
    environment: str
    packages: tuple[str, ...]
    base_name: str = ""
    base_digest: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


def statements(release: Release, making: Making) -> dict[str, dict[str, object]]:
    """Every statement of a release, by the name of its kind."""
    predicates = {
        "release": release_predicate(release),
        "provenance": _provenance(release, making),
        "packages": package_list(release, making.packages),
    }
    return {
        kind: {
            "_type": STATEMENT,
            "subject": subjects(release),
            "predicateType": PREDICATES[kind],
            "predicate": predicate,
        }
        for kind, predicate in predicates.items()
    }


def subjects(release: Release) -> list[dict[str, object]]:
    """The image first: tools look for it alone."""
    return [
        {"name": f"{release.model}:{release.version}", "digest": _digest(release.image_digest)},
        {"name": f"{release.model} {release.version} model", "digest": _digest(release.model_digest)},
    ]


def release_predicate(release: Release) -> dict[str, object]:
    """The record, without the digests of statements, one of which is this one.

    What records did not have once is left out while it is empty: statements of earlier releases stay true.
    """
    without = {"attestations"} if release.verified_with else {"attestations", "verified_with"}
    record = {key: value for key, value in to_document(release).items() if key not in without}
    return {"record": record, "digest": digest_of(record)}


def stated_record(statement: Mapping[str, object]) -> Release:
    """The record in a release's own statement.

    Raises:
        IntegrityFailed: there is none in it.
    """
    predicate = statement.get("predicate")
    record = predicate.get("record") if isinstance(predicate, Mapping) else None
    return from_document(Release, record, "a release's statement")


def check_statement(kind: str, statement: Mapping[str, object], release: Release, where: str) -> None:
    """Whether a statement of this kind is about this release, and a release's own is about this very record.

    Raises:
        IntegrityFailed: it is about something else.
    """
    if statement.get("_type") != STATEMENT or statement.get("predicateType") != PREDICATES.get(kind):
        raise _other(where, f"it is a {statement.get('predicateType')!r}, not {PREDICATES.get(kind)}")
    if statement.get("subject") != subjects(release):
        raise _other(where, f"its subject is not the image and model of {release.model} {release.version}")
    if kind == "release" and statement.get("predicate") != release_predicate(release):
        raise _other(where, "the record that was signed is another one than the ledger has")


def _provenance(release: Release, making: Making) -> dict[str, object]:
    """https://slsa.dev/spec/v1.0/provenance; fields that would be empty are left out."""
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": _filled(
                {
                    "source": making.source,
                    "revision": release.commit,
                    "branch": release.branch,
                    "model": release.model,
                    "command": making.command,
                    "parameters": dict(release.parameters),
                    "seed": making.seed,
                }
            ),
            "internalParameters": _filled(
                {
                    "runId": release.run_id,
                    "trainedBy": making.trainer,
                    "trained": making.trained,
                    **making.more,
                }
            ),
            "resolvedDependencies": _dependencies(release, making),
        },
        "runDetails": {
            "builder": {"id": builder_id(release.builder)},
            "metadata": _filled({"invocationId": release.builder, "finishedOn": release.created}),
            "byproducts": [
                {"name": "evaluation", "digest": _digest(release.evaluation)},
                {"name": "metrics", "digest": _digest(digest_of(dict(release.metrics)))},
                {"name": "gates", "digest": _digest(digest_of(to_document(release.gates)))},
            ],
        },
    }


def _dependencies(release: Release, making: Making) -> list[dict[str, object]]:
    source = f"git+{making.source}@{release.commit}" if making.source else ""
    found: list[dict[str, object]] = [
        _filled({"name": "source", "uri": source, "digest": {"gitCommit": release.commit}})
    ]
    found += [
        {"name": f"data {name}", "digest": _digest(digest)} for name, digest in sorted(release.data.items())
    ]
    if making.environment:
        found.append({"name": "training environment", "digest": _digest(making.environment)})
    if making.base_digest:
        found.append(
            _filled(
                {
                    "name": "base image",
                    "uri": making.base_name and f"docker://{making.base_name}",
                    "digest": _digest(making.base_digest),
                }
            )
        )
    return found


def builder_id(builder: str) -> str:
    """Who built: the controller of a build's URL; a laptop has no address of its own."""
    scheme, found, rest = builder.partition("://")
    if not found:
        return f"laptop:{builder}"
    # A controller may lie below a path: `https://ci.example/jenkins/job/...`.
    host, _, _ = rest.partition("/job/")
    return f"{scheme}://{host.rstrip('/')}"


def _digest(text: str) -> dict[str, str]:
    """`sha256:...` as in-toto's set of digests."""
    algorithm, _, value = text.rpartition(":")
    return {algorithm or "sha256": value}


def _filled(fields: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value not in ("", {}, None)}


def _other(where: str, why: str) -> IntegrityFailed:
    return IntegrityFailed(
        "a signed statement is about something else",
        where=where,
        why=why,
        fix="mmcicd-jenkins ledger verify --images shows all that differs; put the store back from a copy",
    )
