"""A ledger with thousands of releases, made in seconds: the events are made by `release.chain`, as always, and
the commits by `git fast-import`, which no writer of the product uses."""

import dataclasses
import subprocess
from collections.abc import Iterator
from pathlib import Path

from mmcicd_jenkins.release import chain
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.history import Who, reserve
from mmcicd_jenkins.release.ledger import Change, Head, Snapshot, event_path, release_path
from mmcicd_jenkins.release.records import GateReport, Release
from mmcicd_jenkins.release.verdicts import Verdict

WHO = Who(actor="generator", at="2026-01-01T00:00:00+00:00")


def run_id(number: int) -> str:
    """Spread over the 256 folders of `runs/`, as digests are."""
    return f"sha256:{number % 256:02x}{number:062x}"


def release(model: str, version: int) -> Release:
    return Release(
        model=model,
        version=version,
        run_id=run_id(version),
        commit=f"{version:040x}",
        branch="main",
        author="generator",
        data={"table": f"sha256:{version:064x}"},
        parameters={"epochs": 20, "learning_rate": 0.001},
        metrics={"accuracy": 0.9 + version * 1e-6, "log_loss": None},
        gates=GateReport(verdict=Verdict.PASSED, outcomes=(), champion=None, reason="passed"),
        model_digest=f"sha256:{version:064x}",
        model_size=12_000_000,
        layers=({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:00", "size": 1},),
        image_digest=f"sha256:{version:064x}",
        evaluation=f"sha256:{version:064x}",
        manifest_digest=f"sha256:{version:064x}",
        builder="generator",
        created=WHO.at,
    )


def write_history(repository: Path, model: str, releases: int) -> None:
    """Make `repository` (bare) with `releases` versions of `model`: one commit for each."""
    subprocess.run(["git", "init", "--quiet", "--bare", str(repository)], check=True)
    with subprocess.Popen(
        ["git", "-C", str(repository), "fast-import", "--quiet", "--done"], stdin=subprocess.PIPE
    ) as importer:
        assert importer.stdin is not None
        for draft in _drafts(model, releases):
            importer.stdin.write(_commit(model, draft))
        importer.stdin.write(b"done\n")
        importer.stdin.close()
        assert importer.wait() == 0


def _drafts(model: str, releases: int) -> Iterator[chain.Draft]:
    snapshot = Snapshot(head=Head(model=model), pointers={})
    for version in range(1, releases + 1):
        draft = chain.draft(snapshot, _released(snapshot, version), f"{version:032x}")
        snapshot = chain.after(snapshot, draft, "")
        yield draft


def _released(snapshot: Snapshot, version: int) -> Change:
    """What `package` and `verify` write as two events, as one: the version and its release."""
    reserved, _ = reserve(snapshot, run_id(version), WHO)
    files = {**reserved.files, release_path(version): to_document(release(snapshot.head.model, version))}
    return dataclasses.replace(reserved, kind="released", files=files)


def _commit(model: str, draft: chain.Draft) -> bytes:
    files = {
        **draft.files,
        event_path(draft.event.seq): chain.event_file(draft.event, []),
        chain.HEAD_PATH: chain.head_file(draft.head),
    }
    stream = [
        f"commit refs/heads/mmcicd/{model}\ncommitter g <g@localhost> 1767225600 +0000\ndata 0\n".encode()
    ]
    for path, data in files.items():
        stream.append(f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n")
    return b"".join(stream) + b"\n"
