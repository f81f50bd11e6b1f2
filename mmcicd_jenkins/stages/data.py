"""Stage `data`: the locked bytes, checked and divided, where training and evaluation find them.

Below the data folder, `train/<source>/` is all that training may see; `test/<source>/` it never sees.
The folder is named by what is in it, so it is whole or absent.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from mmcicd_jenkins.config.data_schema import check_source, load_schema
from mmcicd_jenkins.config.model import DataSource
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.data_copies import address_of, fetch_locked
from mmcicd_jenkins.stages.identity import data_key, locked_data, locked_facts
from mmcicd_jenkins.stages.placing import place_bytes
from mmcicd_jenkins.stages.sealing import COMPLETE, protect, seal, stamps
from mmcicd_jenkins.stages.workspace import fresh_directory, make_directory, write_json


@dataclass(frozen=True, kw_only=True)
class Facts:
    key: str
    digests: Mapping[str, str]
    prepared: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`fetch` maps each source to the digest its bytes must have; empty when all is there."""

    key: str
    fetch: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PreparedData:
    """Where the divided data lie, and how many rows each part has (by source)."""

    folder: Path
    train_rows: Mapping[str, int]
    test_rows: Mapping[str, int]

    @property
    def train(self) -> Path:
        return self.folder / "train"

    @property
    def test(self) -> Path:
        return self.folder / "test"

    def test_table(self, source: str) -> Path:
        """The only file of a source's test part.

        Raises:
            InputError: the source has no test part, or several files.
        """
        files = sorted(p for p in (self.test / source).rglob("*") if p.is_file())
        if len(files) != 1:
            raise InputError(
                f"the built-in evaluation needs one test table of {source}, found {len(files)} files",
                fix="set test_size, or role: test on a source, or evaluate: {command: ...} for other data",
            )
        return files[0]


def look(job: Job, ports: Ports) -> Facts:  # noqa: ARG001  every stage has the same three functions
    digests = locked_data(job)
    refuse_broken(job)
    key = data_key(job, digests)
    return Facts(key=key, digests=digests, prepared=_is_prepared(job.workspace.data(key)))


def _is_prepared(folder: Path) -> bool:
    """Whether the data lie there, as they were prepared."""
    try:
        known = json.loads((folder / COMPLETE).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(known, dict) and known.get("seal") == seal(stamps(folder))


def refuse_broken(job: Job) -> None:
    """The lock says what the data hold, so their schema can be asked before a byte is fetched.

    Raises:
        InputError: with every breach of every source.
    """
    broken = [
        f"{source.name}: {breach}"
        for source in job.model.data
        if source.schema
        for breach in check_source(load_schema(job.root / source.schema), locked_facts(job, source.name))
    ]
    if broken:
        raise InputError(
            "the data do not meet their schema",
            where=job.config.mark(f"models.{job.model.name}.data"),
            why="\n".join(broken),
            fix="mend the data, then mmcicd-jenkins data update; or change the schema",
        )


def plan(job: Job, facts: Facts) -> Plan:  # noqa: ARG001  every stage has the same three functions
    return Plan(key=facts.key, fetch={} if facts.prepared else dict(facts.digests))


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    prepared = prepare_data(plan, job, ports)
    parts = []
    for source in job.model.data:
        train, test = prepared.train_rows.get(source.name, 0), prepared.test_rows.get(source.name, 0)
        told = ", ".join(f"{n:,} {kind}" for n, kind in ((train, "train"), (test, "test")) if n)
        parts.append(f"{source.name}: {told} rows" if told else f"{source.name}: {_whole(source, job)}")
    return Outcome(
        stage="data",
        sentence="; ".join([*(parts if plan.fetch else ["found"]), *_moved_on(job, ports)]),
        found=not plan.fetch,
        detail={
            "folder": str(prepared.folder),
            "train_rows": dict(prepared.train_rows),
            "test_rows": dict(prepared.test_rows),
        },
    )


def _moved_on(job: Job, ports: Ports) -> list[str]:
    """The lock decides what is trained on, and a person who changed the source should know that it does."""
    moved = [
        source.name
        for source in job.model.data
        if ports.sources.holds(address_of(source, job), locked_facts(job, source.name).digest) is False
    ]
    if not moved:
        return []
    verb, pronoun = ("has", "it") if len(moved) == 1 else ("have", "them")
    return [
        f"{' and '.join(moved)} {verb} moved on since the lock: mmcicd-jenkins data update takes {pronoun}"
    ]


def _whole(source: DataSource, job: Job) -> str:
    """What a source that is not divided holds: `1,000 test rows`, `60 files`."""
    facts = locked_facts(job, source.name)
    kind = "test " if source.role == "test" else ""
    count, unit = (facts.files, "file") if facts.rows is None else (facts.rows, "row")
    return f"{count:,} {kind}{unit}" + ("" if count == 1 else "s")


def ready_data(job: Job, ports: Ports) -> PreparedData:
    """The prepared data, made now if this workspace does not have them."""
    return prepare_data(plan(job, look(job, ports)), job, ports)


def prepare_data(plan: Plan, job: Job, ports: Ports) -> PreparedData:
    folder = job.workspace.data(plan.key)
    if plan.fetch:
        waiting = f"waiting for another process that prepares the data of {job.model.name}"
        with job.workspace.lock(f"data-{folder.name}", lambda: ports.progress.line(waiting)):
            if not _is_prepared(folder):
                if folder.exists():
                    ports.progress.line(
                        f"the prepared data of {job.model.name} were changed; preparing them anew"
                    )
                _prepare(plan, folder, job, ports)
    rows = json.loads((folder / COMPLETE).read_text())
    return PreparedData(folder=folder, train_rows=rows["train"], test_rows=rows["test"])


def _prepare(plan: Plan, folder: Path, job: Job, ports: Ports) -> None:
    building = fresh_directory(folder.with_name(folder.name + ".part"))
    rows: dict[str, dict[str, int]] = {"train": {}, "test": {}}
    for source in job.model.data:
        fetched = fetch_locked(source, plan.fetch[source.name], job, ports)
        failpoint("data.fetched")
        _divide(source, fetched, building, rows, ports)
        failpoint("data.split")
    protect(building)
    write_json(building / COMPLETE, {**rows, "seal": seal(stamps(building))})
    shutil.rmtree(folder, ignore_errors=True)
    building.replace(folder)


def _divide(
    source: DataSource, fetched: Path, building: Path, rows: dict[str, dict[str, int]], ports: Ports
) -> None:
    if not source.test_size:
        place_bytes(fetched, building / source.role / source.name)
        return
    split = ports.sources.split(
        fetched,
        building / "split" / source.name,
        test_size=source.test_size,
        group_by=source.group_by,
        salt=source.name,
    )
    if split.warning:
        ports.progress.line(f"{source.name}: {split.warning}")
    rows["train"][source.name], rows["test"][source.name] = split.train_rows, split.test_rows
    _move(split.train, building / "train" / source.name, "train")
    if split.test is not None:
        _move(split.test, building / "test" / source.name, "test")
    shutil.rmtree(building / "split")


def _move(part: Path, folder: Path, name: str) -> None:
    """A table becomes `train.csv` or `test.csv`; a directory stays as it is."""
    if part.is_dir():
        make_directory(folder.parent)
        part.replace(folder)
    else:
        part.replace(make_directory(folder) / (name + part.suffix))
