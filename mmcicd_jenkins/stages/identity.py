"""Which run this checkout stands for, and where it is. Every stage asks here, so a fresh workspace is enough."""

import posixpath
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath

from mmcicd_jenkins.config.defaults import DEFAULT_LEFT_OUT
from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.image.base_name import parse_base
from mmcicd_jenkins.image.descriptor import Artifact
from mmcicd_jenkins.ports import Commit, PythonEnvironment, SourceFacts
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canonical import digest_of
from mmcicd_jenkins.release.runs import run_id, short, training_files
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.pins import pinned
from mmcicd_jenkins.stages.zones import first_kept, run_tags

# What training can import or run. Other untracked files are what a training may leave behind.
CODE_SUFFIXES = frozenset(
    {
        ".py",
        ".pyx",
        ".sh",
        ".r",
        ".R",
        ".jl",
        ".lua",
        ".c",
        ".cc",
        ".cpp",
        ".cu",
        ".go",
        ".java",
        ".rs",
        ".scala",
    }
)
RUN_KIND = "application/vnd.mmcicd.run.v1+json"
# Attempts are probed one by one; nobody trains the same thing a thousand times.
MOST_ATTEMPTS = 1000


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A run and its inputs. `artifact` is the stored run, None when it has not been trained."""

    run_id: str
    data_key: str
    commit: Commit
    data: Mapping[str, str]
    attempt: int
    artifact: Artifact | None

    @property
    def name(self) -> str:
        return short(self.run_id)

    def trained(self, model: str) -> Artifact:
        """The stored run.

        Raises:
            InputError: it has not been trained.
        """
        if self.artifact is None:
            raise InputError(
                f"{model} has not been trained at this commit",
                where=f"run {self.name}, commit {short(self.commit.sha)}",
                why="the store has no such run",
                fix=f"mmcicd-jenkins stage train --model {model}",
            )
        return self.artifact


def locked_data(job: Job) -> dict[str, str]:
    """Source -> digest, from the lock.

    Raises:
        InputError: a source is not in the lock, or its address changed since.
    """
    digests = {}
    for source in job.model.data:
        locked = job.lock.source(job.model.name, source.name)
        key = f"models.{job.model.name}.data.{source.name}"
        if locked is None or locked.url != source.url:
            raise InputError(
                f"the lock does not have the data source {source.name}"
                if locked is None
                else f"the data source {source.name} moved from {locked.url} to {source.url}",
                where=job.config.mark(key),
                why="mmcicd.lock pins the bytes that a run is trained and judged on",
                fix=f"mmcicd-jenkins data update --model {job.model.name}, then commit mmcicd.lock",
            )
        digests[source.name] = locked.facts.digest
    return digests


def locked_facts(job: Job, source: str) -> SourceFacts:
    """What the lock says a source holds."""
    locked_data(job)
    locked = job.lock.source(job.model.name, source)
    if locked is None:
        raise InputError(f"the lock does not have the data source {source}")
    return locked.facts


def data_key(job: Job, digests: Mapping[str, str]) -> str:
    """The identity of the prepared data: bytes, how they are divided, and the names that training finds."""
    names = {s.name: posixpath.basename(s.url.rstrip("/")) for s in job.model.data}
    return digest_of({"data": dict(digests), "splits": splits(job), "names": names})


def splits(job: Job) -> dict[str, object]:
    return {
        s.name: {"test_size": s.test_size, "group_by": s.group_by, "role": s.role} for s in job.model.data
    }


def code_files(job: Job, ports: Ports, chosen: Sequence[str]) -> dict[str, str]:
    """The files of the model on which a run depends. What the data must look like is no input of a training."""
    path = job.model.path
    schemas = {posixpath.relpath(source.schema, path) for source in job.model.data if source.schema}
    files = training_files(ports.checkout.files(path), path, chosen, DEFAULT_LEFT_OUT)
    return {name: blob for name, blob in files.items() if chosen or name not in schemas}


def requirements_path(job: Job) -> Path | None:
    requirements = job.model.train.requirements
    return job.root / requirements if requirements else None


def environment_digest(job: Job, ports: Ports) -> str:
    """What a run knows its environment by: the image that it trains in, or what its requirements make."""
    return train_image(job) or ports.environments.digest(requirements_path(job))


def train_image(job: Job) -> str:
    """The digest of the image that the model's commands run in; "" without one.

    Raises:
        InputError: the lock does not have it.
    """
    written = job.model.train.image
    return pinned(written, f"models.{job.model.name}.train.image", job.config, job.lock) if written else ""


def environment_of(job: Job, ports: Ports) -> PythonEnvironment:
    """The Python of the model's commands. An installer's lines show that it lives; its log has them all."""
    image = train_image(job)
    if image:
        # Where a command runs stands among its variables; what is in the image, its digest says.
        variables = {
            "MMCICD_IMAGE": engine_name(job, image),
            "MMCICD_IMAGE_NAME": job.model.train.image,
        }
        return PythonEnvironment(digest=image, python="python3", variables=variables)
    return ports.environments.ensure(requirements_path(job), ports.progress.update, ports.progress.line)


def engine_name(job: Job, digest: str) -> str:
    """What an engine knows the image of a training by.

    Raises:
        InputError: no engine can get it from there.
    """
    name = parse_base(job.model.train.image)
    if name.kind != "registry" or name.reference is None:
        raise InputError(
            f"no training can run in {job.model.train.image}",
            where=job.config.mark(f"models.{job.model.name}.train.image"),
            why="every agent must find the same image by its digest",
            fix="push it to a registry, and name it there",
        )
    return str(name.reference.pinned(digest))


def identify(job: Job, ports: Ports, *, must_see: bool = True) -> Identity:
    """The run of this checkout: its newest attempt that is stored, or the first when none is.

    Without `must_see` a store that may not be read holds nothing.

    Raises:
        IntegrityFailed: that attempt is damaged. An older one may be, and the next one can be made all the same.
    """
    train = job.model.train
    commit = ports.checkout.commit()
    digests = locked_data(job)
    files = code_files(job, ports, train.inputs)
    environment = environment_digest(job, ports)

    @cache
    def attempt_id(attempt: int) -> str:
        return run_id(
            files=files,
            data=digests,
            splits=splits(job),
            parameters=train.params,
            seed=train.seed,
            command=train.command,
            environment=environment,
            attempt=attempt,
        )

    found = [_found(attempt_id(0), job, ports, must_see=must_see)]
    while found[-1] is not None and len(found) < MOST_ATTEMPTS:
        found.append(_found(attempt_id(len(found)), job, ports, must_see=must_see))
    attempt = len(found) - 1 if job.again else max(0, len(found) - 2)
    artifact = found[attempt]
    if isinstance(artifact, IntegrityFailed):
        raise artifact
    return Identity(
        run_id=attempt_id(attempt),
        data_key=data_key(job, digests),
        commit=commit,
        data=digests,
        attempt=attempt,
        artifact=artifact,
    )


def _found(run: str, job: Job, ports: Ports, *, must_see: bool) -> Artifact | IntegrityFailed | None:
    try:
        return find_run(run, job, ports)
    except IntegrityFailed as e:
        return e
    except OutsideFailed:
        if must_see:
            raise
        return None


def find_run(run: str, job: Job, ports: Ports) -> Artifact | None:
    """The stored run that this job may use.

    Raises:
        IntegrityFailed: it is damaged, or another document has its name.
    """
    return first_kept(
        run_tags(run, job.zone),
        ports.store,
        kind=RUN_KIND,
        named=("run_id", run),
        what="a run",
        fix="restore the store from a copy, or train anew: mmcicd-jenkins run --again",
    )


def refuse_uncommitted(job: Job, ports: Ports) -> None:
    """A run must be traceable to a commit, so what it depends on must be committed: the code that judges it as well.

    Raises:
        InputError: names the changed files.
    """
    prefix = "" if job.model.path == "." else job.model.path.rstrip("/") + "/"
    pinned = {
        "mmcicd.yaml",
        "mmcicd.lock",
        *([job.model.train.requirements] if job.model.train.requirements else []),
    }
    # What git does not know is no input of the run, unless it is code, which training may import: a training
    # that leaves files beside itself must not block the next one.
    changed = [
        path
        for path, known in ports.checkout.changed().items()
        if known or PurePosixPath(path).suffix in CODE_SUFFIXES
    ]
    # An evaluation of the team's own may use any file of the model.
    chosen = () if job.model.evaluate.command else job.model.train.inputs
    inside = training_files(dict.fromkeys(changed, ""), job.model.path, chosen, DEFAULT_LEFT_OUT)
    guilty = sorted({prefix + path for path in inside} | (pinned & set(changed)))
    if guilty:
        listed = ", ".join(guilty[:5]) + (f" and {len(guilty) - 5} more" if len(guilty) > 5 else "")
        raise InputError(
            "there are changes that no commit has, so a version could not be traced to its source",
            where=listed,
            why="a run belongs to a commit",
            fix='git add -A && git commit -m "What changed", then the same command again',
        )
