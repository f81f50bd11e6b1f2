"""A small world for gc: a ledger in memory, moved by the real decisions, and a store that holds what releases need."""

import dataclasses
import hashlib
from datetime import UTC, datetime

from mmcicd_jenkins.image.descriptor import CONFIG
from mmcicd_jenkins.ports.upkeep import Held, Swept
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.documents import from_document
from mmcicd_jenkins.release.ledger import Event, Head, Pointer, Snapshot
from mmcicd_jenkins.release.records import GateReport, Release
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages.data_copies import DATA_KIND
from mmcicd_jenkins.stages.gc_facts import Facts, ModelFacts, Reserved
from mmcicd_jenkins.stages.identity import RUN_KIND
from mmcicd_jenkins.stages.scoring import EVALUATION_KIND
from mmcicd_jenkins.stages.verify import VERIFIED_KIND

DAY = 86400.0
NOW = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
STATEMENT = "application/vnd.in-toto+json"


def digest(*words):
    return "sha256:" + hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()


def iso(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def who(seconds, reason=""):
    return history.Who(actor="ada", at=iso(seconds), reason=reason)


def release_of(model, version, created):
    return Release(
        model=model, version=version, run_id=digest(model, version, "run"), commit="c" * 40, branch="main", author="Ada",
        data={"numbers": digest(model, version, "data")}, parameters={}, metrics={},
        gates=GateReport(verdict=Verdict.PASSED, outcomes=(), champion=None, reason="passed"),
        model_digest=digest(model, version, "model"), model_size=1, layers=(),
        image_digest=digest(model, version, "image"), evaluation=digest(model, version, "evaluation"),
        manifest_digest="", builder="ada@laptop", created=iso(created),
    )  # fmt: skip


class MemoryLedger:
    """`ports.ledger.Ledger` for one process: `commit` decides on what stands and keeps what was decided."""

    def __init__(self, model="m"):
        self.model = model
        self.now = Snapshot(head=Head(model=model), pointers={})
        self.releases = {}
        self.told = []
        self.before_commit = lambda: None

    def snapshot(self, _model):
        return self.now

    def release(self, _model, version):
        return self.releases.get(version)

    def events(self, _model, _limit=None):
        return iter(reversed(self.told))

    def commit(self, _model, decide):
        before, self.before_commit = self.before_commit, lambda: None
        before()
        change = decide(self.now)
        if change is not None:
            pointers = {
                path.removeprefix("environments/").removesuffix(".json"): from_document(Pointer, dict(document), path)
                for path, document in change.files.items()
                if path.startswith("environments/")
            }  # fmt: skip
            self.now = Snapshot(head=change.head, pointers={**self.now.pointers, **pointers})
            self.told.append(
                Event(
                    seq=len(self.told) + 1, prev="", id="", kind=change.kind, at=change.at, actor=change.actor,
                    detail=change.detail, writes={},
                )
            )  # fmt: skip
        return self.now

    def add_release(self, created):
        version = self.now.head.versions + 1
        made = release_of(self.model, version, created)
        self.commit(self.model, lambda s: history.reserve(s, made.run_id, who(created))[0])
        self.releases[version] = made
        return version

    def move(self, environment, action, version, at, *, done=True, leaves=None):
        """One decision about an environment, finished or left on its way."""
        self.commit(
            self.model,
            lambda s: history.begin(s, environment, action, version, who(at, "because"), leaves=leaves),
        )
        if done:
            epoch = self.now.pointer(environment).epoch
            self.commit(self.model, lambda s: history.finish(s, environment, epoch, who(at)))

    def facts(self):
        released = self.releases.keys()
        lacking = [v for v in range(1, self.now.head.versions + 1) if v not in released]
        at = {e.detail.get("version"): e for e in self.told if e.kind == "reserved"}
        return ModelFacts(
            name=self.model,
            snapshot=self.now,
            releases=dict(self.releases),
            reserved={
                v: Reserved(
                    run_id=str(at[v].detail["run_id"]), at=datetime.fromisoformat(at[v].at).timestamp()
                )
                for v in lacking
            },
        )


def holdings_of(release, *, place="", ops=""):
    """Everything that lies in a store for a release: image, statement, verification, run, evaluation, data."""
    made = datetime.fromisoformat(release.created).timestamp()
    model, version = release.model, release.version
    tag = str(version) if place else f"{model}-{version}"
    image = Held(
        place=place, digest=release.image_digest, size=10, tags=(tag,), kind=CONFIG, touched=made,
        blobs={release.model_digest: 100}, notes={"io.mmcicd.run-id": release.run_id},
    )  # fmt: skip
    said = Held(
        place=place, digest=digest(model, version, "said"), size=1, kind=STATEMENT, subject=release.image_digest,
        touched=made,
    )  # fmt: skip
    run = run_of(model, release.run_id, release.model_digest, made, place=ops, touched=made)
    evaluation = Held(
        place=ops, digest=digest(model, version, "e"), size=1, kind=EVALUATION_KIND, touched=made,
        tags=("evaluation-" + release.evaluation.removeprefix("sha256:"),),
        document={"evaluation": release.evaluation, "model_digest": release.model_digest},
    )  # fmt: skip
    verified = Held(
        place=ops, digest=digest(model, version, "v"), size=1, kind=VERIFIED_KIND, touched=made,
        tags=("verified-" + release.image_digest.removeprefix("sha256:"),), document={"golden": {}},
    )  # fmt: skip
    copy = copy_of(release.data["numbers"], model, made, place=ops)
    return [image, said, run, evaluation, verified, copy]


def copy_of(data, model, made, place=""):
    return Held(
        place=place, digest=digest(data, "copy"), size=1, kind=DATA_KIND, touched=made,
        tags=("data-" + data.removeprefix("sha256:"),), document={"digest": data, "model": model, "kept": iso(made)},
    )  # fmt: skip


def run_of(model, run_id, model_digest, made, *, place="", prefix="run-", touched=None, **more):
    return Held(
        place=place, digest=digest(run_id, "held"), size=1, kind=RUN_KIND, touched=touched,
        tags=(prefix + run_id.removeprefix("sha256:"),), blobs={model_digest: 100},
        document={
            "run_id": run_id, "model": model, "model_digest": model_digest, "trained": iso(made), "attempt": 0,
            "parameters": {}, "seed": 0, "environment": "e", **more,
        },
    )  # fmt: skip


def facts_of(*ledgers, held=(), locked=(), now=NOW):
    return Facts(
        now=now, models={each.model: each.facts() for each in ledgers}, held=tuple(held), locked=frozenset(locked)
    )  # fmt: skip


class MemoryKeeper:
    """`ports.upkeep.StoreKeeper` of a list."""

    def __init__(self, held):
        self.held = list(held)

    def holdings(self):
        return list(self.held)

    def remove(self, doomed):
        gone = {(each.place, each.digest) for each in doomed}
        self.held = [each for each in self.held if (each.place, each.digest) not in gone]
        return tuple(doomed)

    def sweep(self, before):
        return Swept(why_not=f"nothing to free since {before}")


def touched_at(held, seconds):
    return dataclasses.replace(held, touched=seconds)
