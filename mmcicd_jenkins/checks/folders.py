"""Are the jobs there that `jobs sync` would make, and may this account make them. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from mmcicd_jenkins.checks.finding import Finding, Told, counted
from mmcicd_jenkins.ports.doctor import FolderRights
from mmcicd_jenkins.records import dataclass

# refused: a person must decide.
JobState = Literal["missing", "differs", "refused", "same"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One item that is wanted, and how it stands. `why` and `fix` are the planner's."""

    path: str
    state: JobState
    is_folder: bool = False
    why: str = ""
    fix: str = ""


def jobs(wanted: Iterable[Job], rights: Mapping[str, FolderRights], sync: str) -> Iterator[Finding]:
    """What `jobs sync` would do, and whether this account may.

    Args:
        rights: folder ("" is the top) -> what the account may do there.
        sync: the command that makes everything, for whoever may.
    """
    told = Told("jenkins", "jobs")
    listed = list(wanted)
    missing = [job for job in listed if job.state == "missing"]
    hidden = _hidden(listed, missing, rights)
    yield from _missing(told, [job for job in missing if job not in hidden], rights, sync)
    if hidden:
        folders = dict.fromkeys(_place(job) for job in hidden)
        yield told.warn(
            f"you may not see {_named(folders)}, so these are not checked: "
            f"{counted(_jobs_before_folders(job.path for job in hidden))}",
            "right for who neither promotes nor rolls back; whoever does: mmcicd-jenkins doctor",
        )
    for job in listed:
        if job.state == "refused":
            yield told.fail(f"{job.path} stands in the way: {job.why}", job.fix)
    differing = [job.path for job in listed if job.state == "differs"]
    if differing:
        verb = "differs" if len(differing) == 1 else "differ"
        yield told.warn(
            f"{counted(differing)} {verb} from mmcicd.yaml", f"{sync}; what differs: mmcicd-jenkins jobs diff"
        )
    same = [job for job in listed if job.state == "same" and not job.is_folder]
    if same:
        yield told.ok(f"{len(same)} jobs" if len(same) > 1 else "1 job")


def _hidden(listed: list[Job], missing: list[Job], rights: Mapping[str, FolderRights]) -> list[Job]:
    """What is rather hidden than missing. A closed folder looks like none; sync makes all jobs or none of them."""
    if not any(job.state != "missing" and not job.is_folder for job in listed):
        return []
    return [
        job
        for job in missing
        if not rights[_place(job)].exists and rights[nearest(job.path, rights)].create is False
    ]


def _place(job: Job) -> str:
    return job.path if job.is_folder else job.path.rpartition("/")[0]


def _missing(
    told: Told, missing: list[Job], rights: Mapping[str, FolderRights], sync: str
) -> Iterator[Finding]:
    """One finding for all that the account may make, one for all that it may not."""
    allowed: list[str] = []
    denied: dict[str, str] = {}
    for job in missing:
        folder = nearest(job.path, rights)
        if rights[folder].create is False:
            denied[job.path] = folder
        else:
            allowed.append(job.path)
    if allowed:
        shown = _jobs_before_folders(allowed)
        yield told.fail(f"{counted(shown)} {_be(shown)} missing", sync)
    if denied:
        shown = _jobs_before_folders(denied)
        folders = tuple(dict.fromkeys(denied[path] for path in shown))
        there = "there" if folders == (shown[0].rpartition("/")[0],) else f"in {_named(folders)}"
        yield told.fail(
            f"{counted(shown)} {_be(shown)} missing and you lack Job/Create {there}. Send this to its owners:",
            sync,
        )


def _be(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _named(folders: Iterable[str]) -> str:
    return counted(folder or "Jenkins itself" for folder in folders)


def _jobs_before_folders(paths: Iterable[str]) -> list[str]:
    """A folder that is missing goes without saying where something in it is."""
    listed = list(paths)
    return [path for path in listed if not any(other.startswith(f"{path}/") for other in listed)]


def nearest(path: str, rights: Mapping[str, FolderRights]) -> str:
    """The folder in which something must be made first: the deepest one above `path` that is there."""
    folder = path.rpartition("/")[0]
    while folder and not (folder in rights and rights[folder].exists):
        folder = folder.rpartition("/")[0]
    return folder


def permissions(rights: Mapping[str, FolderRights]) -> Iterator[Finding]:
    """What the account can look at, where that limits what doctor and `jobs sync` can say."""
    told = Told("jenkins", "permissions")
    open_to_us = [folder for folder, may in rights.items() if folder and may.exists and may.create]
    blind = [folder for folder in open_to_us if rights[folder].read_config is False]
    if blind:
        yield told.warn(
            f"you may make jobs in {counted(blind)} and not read their configuration, so jobs sync could not compare",
            "ask its owners for Job/ExtendedRead there",
        )
    if open_to_us:
        yield told.ok(f"you may make jobs in {counted(open_to_us)}")
