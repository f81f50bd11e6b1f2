"""The tour's hands: type commands, make commits, keep a client asking, count what it saw around each switch."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.errors import MmcicdError, OutsideFailed, Terminated
from mmcicd_jenkins.records import dataclass

IDENTITY = ("-c", "user.name=The tour", "-c", "user.email=tour@example.invalid", "-c", "commit.gpgsign=false")
CLIENT_RATE = 20.0
# How long a command that was told to stop may take: longer than it gives the command that it runs itself.
STOP_SECONDS = 20.0


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Its exit code; when the tour is told to stop, the command ends in order first.

    `subprocess.run` would kill it a quarter of a second after Ctrl-C: the cursor stays hidden, its training goes on.
    """
    try:
        return process.wait()
    except (KeyboardInterrupt, Terminated) as stop:
        if isinstance(stop, Terminated):  # Ctrl-C reached it from the terminal, as it reached us
            process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
        raise


def _cut_short(command: str, code: int, repository: Path) -> MmcicdError:
    """The tour cannot go on; what the command says of its failure is what the tour says."""
    error = MmcicdError(
        f"the tour ends here: {command} ended with exit code {code}",
        where=str(repository),
        fix="the lines above say why; the folder is kept for a look",
    )
    error.exit_code = max(code, 1)  # a success that should have been a refusal is a failure of ours
    return error


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A change of what production serves, between two moments in seconds since 1970."""

    what: str
    began: float
    ended: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The client's own summary."""

    document: Mapping[str, Any]

    @property
    def sent(self) -> int:
        return int(self.document["sent"])

    @property
    def failed(self) -> int:
        return int(self.document["failed"])

    def failed_of(self, version: str) -> int:
        return int(self.document["versions"].get(version, {}).get("failed", 0))

    def _windows(self, switch: Switch) -> list[dict[str, Any]]:
        return [w for w in self.document["windows"] if int(switch.began) <= w["second"] <= int(switch.ended)]

    def requests_during(self, switch: Switch) -> int:
        return sum(w["ok"] + w["failed"] for w in self._windows(switch))

    def failed_during(self, switch: Switch) -> int:
        """Failures that were not version 3 refusing a picture, which it does by design of the tour."""
        return sum(
            n for w in self._windows(switch) for version, n in w["failed_by"].items() if version != "3"
        )


@dataclasses.dataclass(kw_only=True)
class _Client:
    process: subprocess.Popen[bytes]
    summary: Path


@dataclasses.dataclass
class Tour:
    """One tour through one repository."""

    repository: Path
    model: str
    switches: list[Switch] = field(default_factory=list)
    program: str = "mmcicd-jenkins"
    _chapters: int = 0
    _client: _Client | None = None

    @property
    def workspace(self) -> Path:
        return self.repository / ".mmcicd"

    def chapter(self, title: str) -> None:
        self._chapters += 1
        report.say("")
        report.say(f"{self._chapters}. {title}", bold=True)

    def cli(
        self, *arguments: str, codes: tuple[int, ...] | None = (0,), inside: bool = True, quiet: bool = False
    ) -> None:
        """Type a command in the repository; its exit code must be one of `codes` (None: any)."""
        if not quiet:
            shown = " ".join(f"'{a}'" if " " in a else a for a in arguments)
            report.say(f"$ {self.program} {shown}", fg="cyan")
        elif not self.repository.is_dir():
            return
        silent = subprocess.DEVNULL if quiet else None
        process = subprocess.Popen(
            [sys.executable, "-m", "mmcicd_jenkins", *arguments],
            cwd=self.repository if inside else self.repository.parent,
            stdout=silent,
            stderr=silent,
        )
        code = _ended(process)
        if codes is not None and code not in codes:
            raise _cut_short(arguments[0], code, self.repository)

    def switch(self, what: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> None:
        """A command that changes what production serves, timed so that the client's count can be asked."""
        began = time.time()
        self.cli(*arguments, codes=codes)
        if self._client is not None:
            self.switches.append(Switch(what=what, began=began, ended=time.time()))

    def commit(self, message: str) -> None:
        fresh = not (self.repository / ".git").exists()
        begin = "git init -q -b main && " if fresh else ""
        report.say(f"$ {begin}git add -A && git commit -qm '{message}'", fg="cyan")
        if fresh:
            self._git("init", "--quiet", "--initial-branch", "main")
        self._git("add", "--all")
        self._git(*IDENTITY, "commit", "--quiet", "--message", message)

    def _git(self, *arguments: str) -> None:
        environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.repository,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        if done.returncode:
            raise OutsideFailed(
                f"git {arguments[0]} failed", where=str(self.repository), why=done.stderr.strip()
            )

    def start_client(self, requests: Mapping[str, object]) -> None:
        folder = self.workspace / "tour"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "requests.json").write_text(json.dumps(requests))
        summary = folder / "client.json"
        rest = self._rest_address()
        process = subprocess.Popen(
            [
                sys.executable, "-m", "mmcicd_jenkins.serving.traffic", "--url", rest, "--model", self.model,
                "--golden", str(folder / "requests.json"), "--summary", str(summary), "--rate", str(CLIENT_RATE),
            ]
        )  # fmt: skip
        self._client = _Client(process=process, summary=summary)
        self.wait_for_requests(20)

    def _rest_address(self) -> str:
        from mmcicd_jenkins.config.load import load_config

        production = load_config(self.repository, environ={}).production
        return f"http://{production.host}:{production.rest_port}"

    def wait_for_requests(self, more: int) -> None:
        """Let the client ask a little, so that each state is seen by it."""
        if self._client is None:
            return
        wanted, deadline = self._sent() + more, time.monotonic() + 30
        while self._sent() < wanted and time.monotonic() < deadline:
            time.sleep(0.2)

    def _sent(self) -> int:
        try:
            return self.client_summary().sent
        except (OSError, ValueError):
            return 0

    def client_summary(self) -> Seen:
        assert self._client is not None  # noqa: S101  the tour starts the client in its first chapter
        return Seen(document=json.loads(self._client.summary.read_text()))

    def stop_client(self) -> None:
        if self._client is not None and self._client.process.poll() is None:
            self._client.process.send_signal(signal.SIGTERM)
            self._client.process.wait(timeout=30)

    def newest_report(self) -> Path:
        reports = sorted((self.workspace / "runs").glob("*/report.html"), key=lambda p: p.stat().st_mtime)
        return reports[-1]
