"""A history that was touched anywhere, in any way, does not hold."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.adapters.signing import DsseSigner, make_key
from mmcicd_jenkins.release import chain
from mmcicd_jenkins.release.history import Who, begin, finish, reserve
from mmcicd_jenkins.release.ledger import Change, Head, Snapshot, event_path
from mmcicd_jenkins.release.proof import Step, Trust, prove
from mmcicd_jenkins.release.records import GateReport, Release
from mmcicd_jenkins.release.seal import manifest_digest
from mmcicd_jenkins.release.verdicts import Verdict

WHO = Who(actor="ada", at="2026-01-02T03:04:05+00:00")


def sample_release(version: int) -> Release:
    return Release(
        model="m",
        version=version,
        run_id=f"sha256:{version:064x}",
        commit="c" * 40,
        branch="main",
        author="ada",
        data={"d": "sha256:1"},
        parameters={"epochs": 3, "rate": 0.1},
        metrics={"accuracy": 0.9, "loss": None},
        gates=GateReport(verdict=Verdict.PASSED, outcomes=(), champion=None, reason="passed"),
        model_digest="sha256:2",
        model_size=1,
        layers=(),
        image_digest="sha256:3",
        evaluation="sha256:4",
        manifest_digest="sha256:5",
        builder="ada@host",
        created=WHO.at,
    )


def write(snapshot: Snapshot, change: Change, sign) -> tuple[Step, Snapshot]:
    """What the adapter writes for one change."""
    made = chain.draft(snapshot, change, f"id{snapshot.head.seq + 1}")
    signature = sign(chain.PAYLOAD_TYPE, chain.event_payload(made.event))
    files = {
        **made.files,
        event_path(made.event.seq): chain.event_file(made.event, [signature] if signature else []),
        chain.HEAD_PATH: chain.head_file(made.head),
    }
    commit = f"{made.event.seq:040x}"
    return Step(commit=commit, files=files), chain.after(snapshot, made, commit)


def history(sign, signs_from: int = 1) -> list[Step]:
    """Two versions, each reserved, released, deployed; the second taken back."""
    snapshot = Snapshot(head=Head(model="m"), pointers={})
    steps: list[Step] = []

    def add(decide) -> Snapshot:
        nonlocal snapshot
        nobody = lambda *_: None  # noqa: E731
        step, snapshot = write(snapshot, decide(snapshot), sign if len(steps) + 1 >= signs_from else nobody)
        steps.append(step)
        return snapshot

    for version in (1, 2):
        record = sample_release(version)
        add(lambda s, run=record.run_id: reserve(s, run, WHO)[0])
        add(lambda s, r=record: begin(s, "production", "promote", r.version, WHO, release=r))
        add(lambda s: finish(s, "production", s.pointer("production").epoch, WHO))
    add(lambda s: begin(s, "production", "rollback", 1, WHO))
    add(lambda s: finish(s, "production", s.pointer("production").epoch, WHO))
    return steps


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A signer whose key is trusted for `ops`, and strangers: one untrusted, one of zone `ci`."""
    folder = tmp_path_factory.mktemp("keys")
    pairs = {}
    for name, zone in (("ops", "ops"), ("ci", "ci"), ("stranger", "ops"), ("laptop", "laptop")):
        (folder / name).mkdir()
        pairs[name] = make_key(folder / name, folder / f"{name}.pem", zone=zone, comment=name)
    trusted = tuple(pairs[name].key for name in ("ops", "ci", "laptop"))
    signers = {name: DsseSigner((*trusted, pair.key), pair.private_key).sign for name, pair in pairs.items()}
    return DsseSigner(trusted, None), signers


@pytest.fixture(scope="module")
def trust(keys):
    verifier, _ = keys
    return Trust(check=lambda p, s: verifier.check(chain.PAYLOAD_TYPE, p, s), zone="ops", required=True)


@pytest.fixture(scope="module")
def steps(keys):
    return history(keys[1]["ops"])


@pytest.fixture(scope="module")
def witness(steps, trust):
    found = prove("m", steps, trust)
    return found.events, found.last


def test_an_untouched_history_holds(steps, trust, witness):
    found = prove("m", steps, trust, witness=witness)
    assert found.breaks == ()
    assert (found.events, found.releases, dict(found.signers)) == (8, 2, {"ops": 8})


def test_an_empty_history_holds_unless_something_was_witnessed(trust, witness):
    assert prove("m", [], trust).breaks == ()
    assert prove("m", [], trust, witness=witness).breaks


def with_files(step: Step, files) -> Step:
    return dataclasses.replace(step, files=files)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_every_mutation_is_found(steps, trust, witness, data):
    mutated = MUTATIONS[data.draw(st.sampled_from(sorted(MUTATIONS)))](list(steps), data.draw)
    if mutated != steps:
        assert prove("m", mutated, trust, witness=witness).breaks


def pick(steps, draw):
    at = draw(st.integers(0, len(steps) - 1))
    return at, steps[at], draw(st.sampled_from(sorted(steps[at].files)))


def change_a_byte(steps, draw):
    at, step, path = pick(steps, draw)
    data = bytearray(step.files[path])
    data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    steps[at] = with_files(step, {**step.files, path: bytes(data)})
    return steps


def cut_a_file(steps, draw):
    at, step, path = pick(steps, draw)
    data = step.files[path]
    steps[at] = with_files(step, {**step.files, path: data[: draw(st.integers(0, len(data)))]})
    return steps


def write_it_another_way(steps, draw):
    at, step, path = pick(steps, draw)
    text = json.dumps(json.loads(step.files[path])).encode()
    steps[at] = with_files(step, {**step.files, path: text})
    return steps


def leave_out_a_file(steps, draw):
    at, step, path = pick(steps, draw)
    steps[at] = with_files(step, {p: d for p, d in step.files.items() if p != path})
    return steps


def remove_a_file(steps, draw):
    at, step, path = pick(steps, draw)
    steps[at] = with_files(step, {**step.files, path: None})
    return steps


def add_a_file(steps, draw):
    at, step, _ = pick(steps, draw)
    _, other, path = pick(steps, draw)
    if path not in step.files:
        steps[at] = with_files(step, {**step.files, path: other.files[path]})
    return steps


def put_a_file_of_another_commit(steps, draw):
    at, step, path = pick(steps, draw)
    others = [s.files[path] for s in steps if path in s.files]
    steps[at] = with_files(step, {**step.files, path: draw(st.sampled_from(others))})
    return steps


def add_a_commit_by_hand(steps, draw):
    at, step, path = pick(steps, draw)
    steps.insert(at, Step(commit="f" * 40, files={path: step.files[path] + b" "}))
    return steps


def add_an_empty_commit(steps, draw):
    steps.insert(draw(st.integers(0, len(steps))), Step(commit="f" * 40, files={}))
    return steps


def drop_a_commit(steps, draw):
    del steps[draw(st.integers(0, len(steps) - 1))]
    return steps


def cut_the_end_off(steps, draw):
    return steps[: draw(st.integers(0, len(steps)))]


def cut_the_beginning_off(steps, draw):
    return steps[draw(st.integers(0, len(steps))) :]


def swap_two_commits(steps, draw):
    a, b = draw(st.integers(0, len(steps) - 1)), draw(st.integers(0, len(steps) - 1))
    steps[a], steps[b] = steps[b], steps[a]
    return steps


def repeat_a_commit(steps, draw):
    at = draw(st.integers(0, len(steps) - 1))
    steps.insert(draw(st.integers(0, len(steps))), steps[at])
    return steps


def join_two_commits(steps, draw):
    at = draw(st.integers(0, len(steps) - 2))
    joined = with_files(steps[at], {**steps[at].files, **steps[at + 1].files})
    return [*steps[:at], joined, *steps[at + 2 :]]


MUTATIONS = {
    f.__name__: f
    for f in (
        change_a_byte,
        cut_a_file,
        write_it_another_way,
        leave_out_a_file,
        remove_a_file,
        add_a_file,
        put_a_file_of_another_commit,
        add_a_commit_by_hand,
        add_an_empty_commit,
        drop_a_commit,
        cut_the_end_off,
        cut_the_beginning_off,
        swap_two_commits,
        repeat_a_commit,
        join_two_commits,
    )
}


def resign(step: Step, sign) -> Step:
    path = next(p for p in step.files if p.startswith("events/"))
    event, _ = chain.read_event(step.files[path], path)
    signature = sign(chain.PAYLOAD_TYPE, chain.event_payload(event)) if sign else None
    return with_files(step, {**step.files, path: chain.event_file(event, [signature] if signature else [])})


@pytest.mark.parametrize("who", ["stranger", "ci", "laptop", None])
def test_an_event_signed_by_another_key_or_by_nobody_is_found(steps, trust, keys, who):
    """The chain does not cover signatures, so only the judgement of the key can find it."""
    for at in range(1, len(steps)):
        mutated = [*steps[:at], resign(steps[at], keys[1][who] if who else None), *steps[at + 1 :]]
        broken = prove("m", mutated, trust).breaks
        assert broken
        assert broken[0].place == event_path(at + 1)


@pytest.mark.parametrize("who", ["stranger", "ci", "laptop", None])
def test_a_whole_history_forged_without_the_key_is_found(trust, keys, who):
    forged = history(keys[1][who] if who else lambda *_: None)
    assert prove("m", forged, trust).breaks


def test_a_laptop_may_sign_its_own_ledger_and_ops_any(keys):
    verifier, signers = keys
    home = Trust(check=lambda p, s: verifier.check(chain.PAYLOAD_TYPE, p, s), zone="laptop", required=True)
    for who in ("laptop", "ops"):
        assert prove("m", history(signers[who]), home).breaks == ()
    assert prove("m", history(signers["ci"]), home).breaks


def test_unsigned_events_hold_only_before_the_first_signed_one(keys, trust):
    """Keys made later vouch for what was there: the first signature covers it through the chain."""
    grown = history(keys[1]["ops"], signs_from=4)
    found = prove("m", grown, trust)
    assert found.breaks == ()
    assert dict(found.signers) == {"nobody": 3, "ops": 5}
    edited = [resign(step, None) if at >= 6 else step for at, step in enumerate(grown)]
    assert [b.place for b in prove("m", edited, trust).breaks] == [event_path(7), event_path(8)]


def test_where_no_key_is_trusted_unsigned_events_hold(trust):
    relaxed = dataclasses.replace(trust, required=False)
    assert prove("m", history(lambda *_: None), relaxed).breaks == ()


def test_a_release_written_twice_and_a_version_given_twice_are_found_though_the_chain_holds(keys, trust):
    sign = keys[1]["ops"]
    snapshot = Snapshot(head=Head(model="m"), pointers={})
    first, snapshot = write(snapshot, reserve(snapshot, "sha256:" + "1" * 64, WHO)[0], sign)
    back = dataclasses.replace(snapshot, head=dataclasses.replace(snapshot.head, versions=0))
    second, snapshot = write(back, reserve(back, "sha256:" + "2" * 64, WHO)[0], sign)
    told = " ".join(b.what for b in prove("m", [first, second], trust).breaks)
    assert "given to two runs" in told


def test_an_epoch_that_goes_back_is_found_though_the_chain_holds(keys, trust, steps):
    sign = keys[1]["ops"]
    snapshot = Snapshot(head=Head(model="m"), pointers={})
    done = []
    for decide in (
        lambda s: begin(s, "production", "promote", 1, WHO),
        lambda s: begin(s, "production", "promote", 2, WHO),
    ):
        step, snapshot = write(snapshot, decide(snapshot), sign)
        done.append(step)
    forgotten = dataclasses.replace(snapshot, pointers={})
    step, _ = write(forgotten, begin(forgotten, "production", "promote", 3, WHO), sign)
    broken = prove("m", [*done, step], trust).breaks
    assert [b.what for b in broken] == ["epoch 1 follows epoch 2"]


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300))
def test_reading_an_event_never_ends_in_anything_but_an_event_or_our_error(data):
    from mmcicd_jenkins.errors import IntegrityFailed

    with pytest.raises(IntegrityFailed):
        chain.read_event(data, "x")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "NaN", '{"event": {}, "signatures": []}', "1e999", "{}", "null"]
)
def test_documents_that_are_no_events(text):
    from mmcicd_jenkins.errors import IntegrityFailed

    with pytest.raises(IntegrityFailed):
        chain.read_event(text.encode(), "x")


MANIFEST = ({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "m-stable"}},)
DIGEST = manifest_digest(MANIFEST)


def applied(documents, digest=DIGEST):
    """One deployment whose manifest is written beside its intent, by whoever hands in `documents`."""
    snapshot = Snapshot(head=Head(model="m", versions=1), pointers={})
    change = begin(
        snapshot, "staging", "deploy", 1, WHO, release=sample_release(1), manifest=digest, documents=documents
    )
    return write(snapshot, change, lambda *_: None)[0]


ANYBODY = Trust(check=lambda *_: "laptop", zone="laptop", required=False)


def test_what_was_applied_is_proven_by_its_digest():
    assert prove("m", [applied(MANIFEST)], ANYBODY).breaks == ()


@pytest.mark.parametrize(
    ("documents", "told"),
    [(({"kind": "Secret"},), "another digest"), ((), "which nobody wrote")],
)
def test_a_manifest_that_is_not_the_one_that_is_named_is_told(documents, told):
    (found,) = prove("m", [applied(documents)], ANYBODY).breaks
    assert told in found.what


def test_a_manifest_is_not_written_twice():
    snapshot = Snapshot(head=Head(model="m", versions=1), pointers={})
    steps = []
    for place in ("staging", "production"):
        change = begin(snapshot, place, "deploy", 1, WHO, manifest=DIGEST, documents=MANIFEST)
        step, snapshot = write(snapshot, change, lambda *_: None)
        steps.append(step)
    (found,) = prove("m", steps, ANYBODY).breaks
    assert "second time" in found.what
