"""`image update-base`: move the digests that mmcicd.lock pins to what the names of images stand for now."""

from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option
from mmcicd_jenkins.config.lock import FILE, lock_bytes
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.stages.pins import UPDATE
from mmcicd_jenkins.stages.update_base import About, Pin, Update, look
from mmcicd_jenkins.stages.workspace import write_atomically
from mmcicd_jenkins.wiring import open_bench


@click.group(
    epilog="Example: mmcicd-jenkins image update-base --check",
    help="The base images that models are joined to. mmcicd.lock pins them by digest; they move only when somebody moves them.",
)
def command() -> None:
    pass


@command.command(
    "update-base",
    epilog="Example: mmcicd-jenkins image update-base && git commit -m 'Newer base image' mmcicd.lock",
    help="Look at every image that mmcicd.yaml names (image.base, image.gpu_base, image.verify_with, train.image), show what changed since "
    "mmcicd.lock, and write the lock. Nothing is built; once the lock is committed, the next run makes a version on it, without a training. "
    "With --check nothing is written, and the exit code is 3 when the lock is behind.",
)
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit 3 when the lock is behind.")
@json_option
def update_base(only_check: bool, as_json: bool) -> int:
    # The file as it is: the lock is the team's, wherever this is typed.
    bench = open_bench(Path.cwd(), report.Lines(), shared=True)
    update = look(bench.config, bench.lock, bench.bases, bench.progress)
    is_behind = update.lock != bench.lock
    if is_behind and not only_check:
        write_atomically(bench.config.root / FILE, lock_bytes(update.lock))
    if as_json:
        report.emit(_document(update, written=is_behind and not only_check))
        return InputError.exit_code if is_behind and only_check else 0
    _tell(update)
    if is_behind and only_check:
        raise InputError(
            f"{FILE} is behind the images that it pins", where=FILE, fix=f"{UPDATE}, then commit it"
        )
    if is_behind:
        report.say(f"Next: git commit -m 'Newer base image' {FILE}")
    return 0


def _document(update: Update, *, written: bool) -> dict[str, object]:
    pins = [{**to_document(pin), "moved": pin.is_moved} for pin in update.pins]
    return {"images": pins, "dropped": list(update.dropped), "written": written}


def _tell(update: Update) -> None:
    for pin in update.pins:
        _tell_pin(pin)
    for image in update.dropped:
        report.out(f"{image}: no longer named, its pin goes")
    if not update.pins:
        report.out("mmcicd.yaml names no image")


def _tell_pin(pin: Pin) -> None:
    if not pin.is_moved:
        report.out(f"{pin.image}: unchanged, {_about(pin.new)}")
        return
    report.out(pin.image)
    report.out(f"  old  {_about(pin.old) if pin.old else 'not pinned yet'}")
    report.out(f"  new  {_about(pin.new)}")


def _about(about: About) -> str:
    made = f"made {about.created[:10]}" if about.created else ""
    version = f"version {about.version}" if about.version else ""
    size = f"{about.size / 1e6:,.0f} MB" if about.size else ""
    return ", ".join(filter(None, (about.digest[:19], version, made, " ".join(about.platforms), size)))
