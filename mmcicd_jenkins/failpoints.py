"""Named places where a test may kill, stop or fail the process.

A failpoint does nothing unless `MMCICD_TESTING=1` and `MMCICD_FAILPOINTS` name it:
`name[:n]=kill|stop|error|hang`, several separated by commas; `n` is the visit that
triggers (the first by default). With `MMCICD_FAILPOINTS_SEEN` set to a file, each visit
is appended there, so that a test can prove that every place was reached.

The names are listed here, not scattered, because the sweep in the tests walks this list.
"""

import os
import signal
import time

from mmcicd_jenkins.errors import OutsideFailed

FAILPOINTS = (
    "data.fetched",
    "data.split",
    "train.before-command",
    "train.after-command",
    "store.blob-written",
    "store.before-tag",
    "store.after-tag",
    "store.unpacked",
    "evaluate.scored",
    "ledger.before-push",
    "ledger.after-push",
    "package.before-image",
    "package.base-taken",
    "package.after-image",
    "docker.container-made",
    "docker.command-made",
    "docker.image-built",
    "docker.before-image",
    "verify.before-record",
    "attest.before-attach",
    "attest.after-attach",
    "deploy.after-intent",
    "deploy.before-switch",
    "deploy.after-switch",
    "deploy.before-done",
    "retrain.before-push",
    "gc.after-record",
    "gc.after-remove",
    "gc.blob-freed",
    "serve.before-desired",
    "serve.after-desired",
    "canary.before-copies",
    "canary.after-copies",
    "canary.before-note",
    "canary.after-note",
    "canary.looked",
    "canary.asked",
    "canary.failed",
    "canary.before-remove",
    "canary.after-remove",
    "canary.before-passed",
    "canary.after-passed",
    "training.before-job",
    "training.after-job",
    "training.objects-made",
    "training.waiting",
    "kubernetes.before-create",
    "kubernetes.after-create",
    "kubernetes.before-apply",
    "kubernetes.after-apply",
    "kubernetes.before-patch",
    "kubernetes.after-patch",
    "kubernetes.before-delete",
    "kubernetes.after-delete",
    "kubernetes.before-lead",
    "kubernetes.after-lead",
    "kubernetes.waiting",
    "kubernetes.before-restore",
    "generate.file-written",
    "generate.before-record",
    "jobs.before-write",
    "jobs.after-write",
)

_visits: dict[str, int] = {}


def failpoint(name: str) -> None:
    """Trigger what `MMCICD_FAILPOINTS` asks for at `name`; do nothing otherwise."""
    if os.environ.get("MMCICD_TESTING") != "1":
        return
    if name not in FAILPOINTS:
        raise LookupError(f"failpoint {name} is not listed in failpoints.FAILPOINTS")
    _visits[name] = _visits.get(name, 0) + 1
    seen = os.environ.get("MMCICD_FAILPOINTS_SEEN")
    if seen:
        with open(seen, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(name + "\n")
    for entry in filter(None, os.environ.get("MMCICD_FAILPOINTS", "").split(",")):
        place, _, action = entry.partition("=")
        wanted, _, visit = place.partition(":")
        if wanted == name and _visits[name] == int(visit or 1):
            _trigger(name, action)


def _trigger(name: str, action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "hang":
        time.sleep(3600)
    elif action == "error":
        raise OutsideFailed(f"failpoint {name} was asked to fail", retryable=True)
    else:
        raise LookupError(f"unknown failpoint action {action!r}")
