"""Images that the configuration names and the bytes that the lock says they stand for. Pure.

A stage uses what is pinned and never pins by itself: what a build stands on changes by a commit that people see.
"""

from collections.abc import Mapping

from mmcicd_jenkins.config.lock import FILE, Lock
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.base_name import parse_base
from mmcicd_jenkins.stages.context import Job

UPDATE = "mmcicd-jenkins image update-base"
VERIFY_WITH = "image.verify_with"


def named_images(config: Config) -> Mapping[str, tuple[str, ...]]:
    """Every image by what is written, with the keys that name it."""
    named = [("image.base", config.image.base), ("image.gpu_base", config.image.gpu_base)]
    named += [(VERIFY_WITH, written) for written in config.image.verify_with]
    named += [(f"models.{name}.train.image", model.train.image) for name, model in config.models.items()]
    found: dict[str, tuple[str, ...]] = {}
    for key, written in named:
        if written:
            found[written] = (*found.get(written, ()), key)
    return found


def pinned(written: str, key: str, config: Config, lock: Lock) -> str:
    """The digest of an image that `key` names.

    Raises:
        InputError: the lock does not have it.
    """
    digest = parse_base(written).digest or lock.images.get(written, "")
    if not digest:
        raise InputError(
            f"{FILE} does not have the image {written}",
            where=config.mark(key),
            why="a name may move; the lock pins the bytes that builds stand on",
            fix=f"{UPDATE}, then commit {FILE}",
        )
    return digest


def pinned_base(job: Job) -> tuple[str, str]:
    """The base of the job's model as written, and its digest; twice "" where the configuration names none.

    Raises:
        InputError: the lock does not have it.
    """
    settings, serving = job.config.image, job.model.serving
    written = settings.base_for(serving)
    return written, pinned(written, settings.base_key(serving), job.config, job.lock) if written else ""


def pinned_verify_with(job: Job) -> tuple[tuple[str, str], ...]:
    """The further serving versions for the job's model as written, each with its digest; its own base is none of them.

    Raises:
        InputError: the lock does not have one.
    """
    settings = job.config.image
    own = settings.base_for(job.model.serving)
    return tuple(
        (written, pinned(written, VERIFY_WITH, job.config, job.lock))
        for written in settings.verify_with
        if written != own
    )
