"""Is what is about to serve what was released? Asked before every switch, and of every release by an audit.

The image is read by its digest: every document of it, and each layer by its size or, when asked, by all of its bytes.
The statements that the ledger names lie beside it, are signed by a key that counts, and are about this very release.
Releases of earlier versions have no statements, and those made before there were keys unsigned ones; then the signature
over the ledger's newest event speaks for them.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import IntegrityFailed, OutsideFailed
from mmcicd_jenkins.image.artifact import read_manifest
from mmcicd_jenkins.image.descriptor import INDEX, Artifact, Descriptor, descriptor
from mmcicd_jenkins.image.manifest import check
from mmcicd_jenkins.ports.store import Store
from mmcicd_jenkins.release.dsse import Authority, read_envelope, unseal
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.statements import KINDS, PAYLOAD_TYPE, check_statement
from mmcicd_jenkins.stages.context import Job, Ports

MODEL_DIGEST = "io.mmcicd.model-digest"


def refuse_unproven(
    release: Release, place: Environment, job: Job, ports: Ports, *, way_back: bool = False
) -> None:
    """Nothing happens when everything fits.

    On a `way_back` a store that does not answer is no reason to leave a bad version serving: the target keeps what
    served there, by its digest. What the store does say counts there as well. A cluster's registry is not asked then: what
    is put back is the recorded manifest, which names the image by its digest, and the nodes check that themselves.

    Raises:
        IntegrityFailed: something is missing or different; nothing was switched.
    """
    authority = ports.authority
    if way_back and (place.kind != "local" or not authority.required):
        return
    try:
        with _damage_told(release, ports.store):
            check_image(release, ports.store)
            signed = check_attestations(release, ports.store, authority)
    except OutsideFailed:
        if not way_back:
            raise
        ports.progress.line(f"the store does not answer: version {release.version} goes back unproven")
        return
    if authority.required and not signed and not way_back:
        _require_sealed(release, job, ports)


@contextlib.contextmanager
def _damage_told(release: Release, store: Store) -> Iterator[None]:
    """A registry that finds wrong bytes itself answers "internal error", like one that is down for a moment.

    Raises:
        IntegrityFailed: it failed at every try, and answers other questions.
    """
    try:
        yield
    except OutsideFailed as e:
        if not (e.retryable and _answers(store)):
            raise
        raise IntegrityFailed(
            f"the store cannot give what belongs to version {release.version} of {release.model}, and answers otherwise",
            where=e.where,
            why=e.why or e.what,
            fix="look into the registry's log; put the store back from a copy",
        ) from e


def _answers(store: Store) -> bool:
    try:
        store.find("a-name-that-nothing-has")
    except OutsideFailed:
        return False
    return True


def _require_sealed(release: Release, job: Job, ports: Ports) -> None:
    zone = ports.ledger.sealed_by(job.model.name)
    if zone not in ports.authority.accepted:
        raise IntegrityFailed(
            f"nobody who counts signed version {release.version} of {release.model}; nothing was changed",
            where=f"ledger of {release.model}, newest event",
            why=f"its statements are not signed, and the ledger's newest event is signed by {zone or 'nobody'}",
            fix="look at mmcicd-jenkins history: when it is what you know, the next event of a machine with a key of "
            f"{' or '.join(sorted(ports.authority.accepted))} covers all before it (mmcicd-jenkins run)",
        )


def check_image(release: Release, store: Store, *, deep: bool = False) -> int:
    """Every document and layer of a release's image; returns how many layers there are.

    Raises:
        IntegrityFailed: something is missing or different.
    """
    # Platforms share layers.
    layers = {layer.digest: layer for layer in _layers(release, release.image_digest, store)}
    for layer in layers.values():
        store.check_blob(release.model, layer, deep=deep)
    return len(layers)


def _layers(release: Release, digest: str, store: Store) -> Iterator[Descriptor]:
    """The layers of an image, of every platform. Its documents are read on the way, which checks their digests."""
    where = f"{release.model} {digest}"
    image = store.find_image(release.model, digest)
    if image is None or image.manifest is None:
        raise _differs(release, "its image", f"the store does not hold {digest}")
    if image.kind == INDEX:
        for child in image.layers:
            yield from _layers(release, child.digest, store)
        return
    content = store.read(image.manifest)
    _, config, layers, notes = read_manifest(content, where)
    check(store.read(config), content)
    if MODEL_DIGEST in notes:
        _check_model(release, notes[MODEL_DIGEST], layers)
    yield from layers


def _check_model(release: Release, stated: str, layers: tuple[Descriptor, ...]) -> None:
    held = {layer.digest for layer in layers}
    lacking = [layer.digest for layer in map(descriptor, release.layers) if layer.digest not in held]
    if stated != release.model_digest or lacking:
        raise _differs(
            release, "its image", f"it holds the model {stated}, released was {release.model_digest}"
        )


def check_attestations(release: Release, store: Store, authority: Authority) -> bool:
    """Every statement that the ledger names for a release; returns whether a key that counts signed them all.

    One without any signature was made before there were keys. The ledger names its digest, so what is signed
    in the ledger afterwards covers it.

    Raises:
        IntegrityFailed: one is missing, signed by others alone, or about something else.
    """
    if not release.attestations:
        return False
    lacking = KINDS.keys() - release.attestations.keys()
    if lacking:
        raise _differs(release, f"its {min(lacking)} statement", "the ledger names none")
    found, signed = store.attached(release.model, release.image_digest), True
    for kind, digest in sorted(release.attestations.items()):
        where = f"{release.model} {release.version} {kind} {digest}"
        data = store.read(_envelope(release, kind, digest, found))
        unsigned = not read_envelope(data, where).signatures
        signed = signed and not unsigned
        judge = dataclasses.replace(authority, required=False) if unsigned else authority
        check_statement(kind, unseal(data, PAYLOAD_TYPE, judge, where), release, where)
    return signed


def _envelope(release: Release, kind: str, digest: str, found: tuple[Artifact, ...]) -> Descriptor:
    for artifact in found:
        if artifact.kind == KINDS.get(kind):
            for layer in artifact.layers:
                if layer.digest == digest:
                    return layer
    raise _differs(release, f"its {kind} statement", f"the store does not hold {digest} beside the image")


def check_tag(release: Release, store: Store) -> None:
    """Whether the version's name in the store is still the image that was released.

    Raises:
        IntegrityFailed: it is another one.
    """
    image = store.find_image(release.model, release.version)
    if image is None or image.digest != release.image_digest:
        named = image.digest if image else "nothing"
        raise _differs(release, "its name in the store", f"{release.version} names {named} there")


def audit(release: Release, store: Store, authority: Authority, *, deep: bool) -> tuple[str, ...]:
    """All that does not hold of a release, each in one sentence; () when everything does."""
    told = []
    checks: tuple[Callable[[], object], ...] = (
        lambda: check_tag(release, store),
        lambda: check_image(release, store, deep=deep),
        lambda: check_attestations(release, store, authority),
    )
    for one in checks:
        try:
            with _damage_told(release, store):
                one()
        except IntegrityFailed as e:
            told.append(": ".join(filter(None, [e.what, e.where, e.why])))
    return tuple(told)


def _differs(release: Release, what: str, why: str) -> IntegrityFailed:
    return IntegrityFailed(
        f"version {release.version} of {release.model} is not what was released: {what} differs",
        where=f"{release.model} {release.version} {release.image_digest[:19]}",
        why=why,
        fix="mmcicd-jenkins ledger verify --images shows all that differs; put the store back from a copy",
    )
