"""What a Deployment remembers, through every change.

We look at: there and back as annotations, orders that come, are undone, follow each other, or are of the same version,
what is a way back and what is none, and annotations that somebody has touched.
"""

import dataclasses

import pytest

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.adapters.kubernetes.annotations import Carried, Fence, Standing
from mmcicd_jenkins.errors import IntegrityFailed, OutsideFailed
from mmcicd_jenkins.ports import Switch
from mmcicd_jenkins.release.desired import TakenBack


def carried(version, **more):
    documents = (
        {"kind": "Deployment", "metadata": {"name": "churn-stable"}, "spec": {"v": version, **more}},
    )
    return Carried(version=version, manifest=documents, seal={"payload": f"of {version}"})


def order(version, epoch, *, takes_back=False, **more):
    told = carried(version, **more)
    return Switch(
        model="churn",
        version=version,
        epoch=epoch,
        op_id=f"op {epoch}",
        layers=(),
        manifest=told.manifest,
        seal=told.seal,
        takes_back=takes_back,
    )


def came(standing, version, *, takes_back=False, **more):
    told = order(version, standing.fence.epoch + 1, takes_back=takes_back, **more)
    return annotations.settled(annotations.told_to(standing, told))


def failed(standing, version):
    begun = annotations.told_to(standing, order(version, standing.fence.epoch + 1))
    return annotations.settled(annotations.undone(begun))


def document(standing):
    noted = {key: text for key, text in annotations.notes(standing).items() if text is not None}
    return {"kind": "Deployment", "metadata": {"name": "churn-stable", "annotations": noted}}


def back(standing):
    return standing.way_back.version if standing.way_back else None


def test_it_is_the_same_when_it_is_read_again():
    taken = TakenBack(left=8, to=7, epoch=3, at="2026-01-01T00:00:00Z", actor="a", reason="é \"'")
    full = Standing(
        fence=Fence(epoch=7, op_id="sha256:1"),
        told=carried(9),
        fallback=carried(8),
        previous=carried(7),
        takes_back=True,
        offline=(taken, taken),
    )
    for standing in (Standing(), full, dataclasses.replace(full, settled=True, fallback=None)):
        assert annotations.read(document(standing)) == standing
    assert annotations.read(None) == Standing()


def test_the_first_version_has_no_way_back():
    assert back(came(Standing(), 7)) is None


def test_the_version_before_is_the_way_back():
    standing = came(came(came(Standing(), 6), 7), 8)
    assert (standing.told.version, back(standing)) == (8, 7)


def test_while_a_version_comes_the_way_back_is_what_served():
    begun = annotations.told_to(came(came(Standing(), 6), 7), order(8, 3))
    assert (begun.told.version, begun.settled, back(begun)) == (8, False, 7)


def test_a_version_that_did_not_come_changes_nothing_for_good():
    before = came(came(Standing(), 6), 7)
    after = failed(before, 8)
    assert (after.told, after.settled, back(after)) == (before.told, True, 6)


def test_what_serves_already_is_not_undone():
    serving = came(came(Standing(), 6), 7)
    assert annotations.undone(annotations.told_to(serving, order(7, 3))).told == carried(7)


def test_a_first_version_that_did_not_come_leaves_nothing():
    begun = annotations.told_to(Standing(), order(7, 1))
    assert annotations.undone(begun).told is None


def test_a_version_that_was_cut_short_is_no_way_back():
    cut = annotations.told_to(came(Standing(), 7), order(8, 2))
    standing = annotations.settled(annotations.told_to(cut, order(9, 3)))
    assert (standing.told.version, back(standing)) == (9, 7)


def test_a_first_version_that_was_cut_short_is_none_either():
    cut = annotations.told_to(Standing(), order(7, 1))
    assert back(came(cut, 8)) is None


def test_the_same_order_again_forgets_nothing():
    begun = annotations.told_to(came(came(Standing(), 6), 7), order(8, 3))
    assert annotations.told_to(begun, order(8, 3)) == begun
    done = annotations.settled(begun)
    assert annotations.told_to(done, order(8, 3)) == done


def test_what_was_taken_back_is_no_way_back():
    standing = came(came(came(Standing(), 6), 7), 6, takes_back=True)
    assert (standing.told.version, back(standing)) == (6, None)


def test_to_go_back_without_a_rollback_leaves_no_way_to_where_one_came_from():
    standing = came(came(came(Standing(), 6), 7), 6)
    assert back(standing) is None


def test_other_settings_of_the_same_version_are_no_step():
    standing = came(came(came(Standing(), 6), 7), 7, memory="2Gi")
    assert (standing.told, back(standing)) == (carried(7, memory="2Gi"), 6)


def test_other_settings_that_did_not_come_are_undone():
    before = came(Standing(), 7)
    begun = annotations.told_to(before, order(7, 2, memory="1Ki"))
    assert annotations.undone(begun).told == carried(7)


def test_a_rollback_that_was_cut_short_does_not_lead_back_to_what_it_leaves():
    cut = annotations.told_to(came(came(came(Standing(), 6), 7), 8), order(7, 4, takes_back=True))
    assert (cut.told.version, cut.fallback.version, back(cut)) == (7, 8, None)
    assert annotations.told_to(cut, order(7, 4, takes_back=True)) == cut
    newer = annotations.told_to(cut, order(9, 5))
    assert newer.fallback.version == 7
    assert back(annotations.settled(newer)) == 7


def test_a_rollback_that_did_not_come_was_none():
    note = TakenBack(left=8, to=7, epoch=4, at="2026-01-01T00:00:00Z", actor="a")
    older = dataclasses.replace(note, epoch=2)
    standing = dataclasses.replace(came(came(Standing(), 7), 8), offline=(older,))
    begun = annotations.told_to(standing, order(7, 4, takes_back=True))
    begun = dataclasses.replace(begun, offline=(older, note))
    after = annotations.settled(annotations.undone(begun))
    assert (after.told.version, back(after), after.offline) == (8, 7, (older,))


@pytest.mark.parametrize(
    ("standing", "order", "admitted"),
    [
        (Fence(epoch=3, op_id="a"), Fence(epoch=4, op_id="b"), True),
        (Fence(epoch=3, op_id="a"), Fence(epoch=3, op_id="a"), True),
        (Fence(epoch=3, op_id="a"), Fence(epoch=3, op_id="b"), False),
        (Fence(epoch=4, op_id="a"), Fence(epoch=3, op_id="a"), False),
        (Fence(), Fence(epoch=1, op_id="a"), True),
    ],
)
def test_who_may_pass_a_fence(standing, order, admitted):
    assert standing.admits(order) is admitted


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (annotations.EPOCH, "three"),
        (annotations.EPOCH, "-1"),
        (annotations.MANIFEST, "%"),
        (annotations.MANIFEST, "eJwDAAAAAAE"),
        (annotations.MANIFEST, annotations.pack({"a": 1})),
        (annotations.MANIFEST, annotations.pack([1])),
        (annotations.VERSION, "eight"),
        (annotations.SEAL, "[1]"),
        (annotations.SEAL, "{"),
        (annotations.PREVIOUS, annotations.pack({"version": "7", "manifest": [], "seal": {}})),
        (annotations.FALLBACK, annotations.pack([])),
        (annotations.OFFLINE, "{}"),
        (annotations.OFFLINE, '[{"left": 1}]'),
    ],
)
def test_what_somebody_touched_is_told_by_name(key, text):
    touched = document(came(Standing(), 8))
    touched["metadata"]["annotations"][key] = text
    with pytest.raises(IntegrityFailed) as told:
        annotations.read(touched)
    assert key in told.value.where


def test_a_parcel_that_would_fill_the_memory_is_not_unpacked():
    with pytest.raises(ValueError, match="too large"):
        annotations.unpack(annotations.pack("0" * (annotations.LARGEST + 10)))


def test_what_is_not_ours_is_refused_by_name():
    with pytest.raises(OutsideFailed, match="deployment/churn-stable is there already and is not ours"):
        annotations.refuse_foreign(document(Standing()))
