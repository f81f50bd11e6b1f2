"""A repository on a real controller: a git remote by http, its folder of jobs, and what a person does with them.

The controller and its agents are real, and so are the generated files, git, the store, the ledger and the server. The
model is small and its trainer is a shell script, so that a build takes seconds. The wheel that the repository carries
is a shim: it starts the program of the Python that runs the tests, with failpoints where a test asks for them.
"""

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import git_web_server

MODEL = Path(__file__).parents[1] / "system" / "fixtures" / "double"
NAME = "double"
LABELS = ("linux", "gpu", "ops")
CONFIG = """\
models:
  double:
    data:
      numbers: {{url: {base}/numbers.csv, label: y, test_size: 0.3}}
    test: ./check.sh
    train: {{command: ./train.sh, inputs: [train.sh, factor.txt]}}
    evaluate: {{command: ./evaluate.sh}}
    gates: [accuracy >= 0.5, accuracy >= champion - 0.1]
    min_samples: 10
environments:
  staging: {{kind: local, folder: {base}/serve/staging, rest_port: {ports[0]}, grpc_port: {ports[1]}}}
  production:
    kind: local
    folder: {base}/serve/production
    rest_port: {ports[2]}
    grpc_port: {ports[3]}
    approval: {{by: {approvers}, four_eyes: true}}
    rollback: {{by: {pressers}}}
    monitor: {{every: 1d}}
store: {{path: {base}/store}}
ledger: {{url: {base}/ledger.git}}
jenkins:
  url: {url}
  folder: {folder}
  source: {{git: "{remote}"}}
  agents: {{default: linux, train: gpu, deploy: ops}}
  cli: wheels/{wheel}
"""
FILES = {
    "check.sh": "#!/bin/sh\nset -eu\ntest -s factor.txt\n",
    "train.sh": """\
#!/bin/sh
set -eu
case $(cat factor.txt) in
  broken) echo "no such column: y" >&2; exit 3 ;;
  *slow) echo $$ > "{base}/training"; until test -e "{base}/go"; do sleep 0.2; done ;;
esac
cp -R model/. "$MMCICD_MODEL_DIR"/
cut -d " " -f 1 factor.txt > "$MMCICD_MODEL_DIR"/assets_factor.txt
""",
    "evaluate.sh": """\
#!/bin/sh
set -eu
samples=30
factor=$(cat "$MMCICD_MODEL_DIR/assets_factor.txt")
if [ "$factor" = few ]; then factor=0.9 samples=3; fi
printf '{{"metrics": {{"accuracy": %s}}, "samples": %s}}' "$factor" "$samples" > "$MMCICD_EVALUATION_DIR/metrics.json"
""",
}
SHIM = """\
import json, os, sys
def main():
    base = {base!r}
    with open(base + "/installed", "a") as file:
        file.write(sys.prefix + "\\n")
    words = sys.argv[1:]
    stage = words[1] if words[:1] == ["stage"] else ""
    try:
        with open(base + "/inject/" + stage) as file:
            os.environ.update(json.load(file), MMCICD_TESTING="1")
    except OSError:
        pass
    os.execv({python!r}, [{python!r}, "-P", "-m", "mmcicd_jenkins", *words])
"""
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.invalid",
    "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.invalid",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Site:
    """A checkout whose jobs are in `folder` of the controller. `variables` are what a person has in the shell besides."""

    base: Path
    folder: str
    remote: str
    user: str
    token: str
    config: str = CONFIG
    files: Mapping[str, str] = field(default_factory=lambda: FILES)
    variables: Mapping[str, str] = field(default_factory=dict)
    locked_by: tuple[tuple[str, ...], ...] = (("data", "update"),)

    @property
    def repo(self):
        return self.base / "repo"

    def git(self, *words):
        done = subprocess.run(
            ["git", *words],
            cwd=self.repo, check=True, capture_output=True, text=True, env={**os.environ, **IDENTITY},
        )  # fmt: skip
        return done.stdout.strip()

    def cli(self, *words, user="", token="", timeout=600):
        """The command line, as a person in the checkout types it."""
        account = {"MMCICD_JENKINS_USER": user or self.user, "MMCICD_JENKINS_TOKEN": token or self.token}
        return subprocess.run(
            [sys.executable, "-m", "mmcicd_jenkins", *words],
            cwd=self.repo, check=False, capture_output=True, text=True, timeout=timeout,
            env={**os.environ, **self.variables, **account},
        )  # fmt: skip

    def answer(self, *words):
        """What a command says with --json; it must succeed."""
        done = self.cli(*words, "--json")
        assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def push(self, branch="main", **files):
        """Commit on a branch and push it; returns the commit."""
        known = self.git("branch", "--list", branch)
        self.git("checkout", "-q", *([] if known else ["-b"]), branch)
        for name, text in files.items():
            (self.repo / name.replace("_", ".")).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        self.git("push", "-q", "origin", branch)
        return self.git("rev-parse", "HEAD")

    def inject(self, stage, **variables):
        """From now on this stage runs with these variables, such as failpoints."""
        (self.base / "inject").mkdir(exist_ok=True)
        (self.base / "inject" / stage).write_text(json.dumps(variables))

    def hang(self, stage, place):
        """From now on this stage stands still at a failpoint; the file that tells when it does."""
        seen = self.base / f"seen-{stage}"
        seen.unlink(missing_ok=True)
        self.inject(stage, MMCICD_FAILPOINTS=f"{place}=hang", MMCICD_FAILPOINTS_SEEN=str(seen))
        return lambda: seen.exists() and place in seen.read_text().split()

    def mend(self):
        shutil.rmtree(self.base / "inject", ignore_errors=True)

    def write_data(self, rows):
        (self.base / "numbers.csv").write_text("x,y\n" + "".join(f"{x},{2 * x}\n" for x in range(rows)))

    def serving(self, place="production"):
        """Which version serves, as the ledger records it and the server says it; None for none."""
        found = [one for one in self.answer("status")["status"] if one["environment"] == place]
        assert [one["warning"] for one in found] in ([], [""]), found
        assert all(one["observed"] == one["recorded"] for one in found), found
        return found[0]["observed"] if found else None

    def history(self):
        """Events of the ledger, the newest first."""
        return self.answer("history")["events"]

    def stop_servers(self):
        """End what deployments started; a server answers what it was asked before it ends."""
        for number, seconds in ((signal.SIGTERM, 40), (signal.SIGKILL, 10)):
            deadline = time.monotonic() + seconds
            for process in self._servers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
            while self._servers() and time.monotonic() < deadline:
                time.sleep(0.2)

    def _servers(self):
        """Processes whose state lies here."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{self.base}/serve/" in (process / "cmdline").read_bytes().decode(errors="replace"):
                    found.append(int(process.name))
        return found

    def forget_installed(self):
        """What `mmcicdw` installed from our wheel, in the cache of the agent's user."""
        installed = self.base / "installed"
        for line in set(installed.read_text().splitlines() if installed.exists() else []):
            if "+live" in line:
                shutil.rmtree(line, ignore_errors=True)
                Path(f"{line}.lock").unlink(missing_ok=True)


@contextlib.contextmanager
def own_remote(base, host):
    """An empty repository behind http: Jenkins refuses remotes that are folders of its own machine."""
    remotes = base / "remotes"
    remotes.mkdir()
    with git_web_server.serve(remotes, host) as server:
        server.public.add(f"{NAME}.git")
        address = server.add(f"{NAME}.git", "", "")
        head = ["git", "-C", str(remotes / f"{NAME}.git"), "symbolic-ref", "HEAD", "refs/heads/main"]
        subprocess.run(head, check=True)
        yield address


@contextlib.contextmanager
def standing(site, admin, **values):
    """The site, made, with its jobs, until the end of the block; nothing that it started is left."""
    make(site, **values)
    try:
        first = site.cli("jobs", "sync")
        assert first.returncode == 0, first.stderr
        yield site
    finally:
        admin.end_builds(site.folder)
        site.stop_servers()
        site.forget_installed()


def make(site, *, approvers, pressers, **values):
    """The repository: locked, generated, committed and pushed.

    `approvers` may promote; `pressers` may see the jobs of ops and start them.
    """
    base = site.base
    (site.repo / "wheels").mkdir(parents=True)
    site.write_data(rows=100)
    (site.repo / "factor.txt").write_text("0.80")
    shutil.copytree(MODEL, site.repo / "model")
    wheel = make_wheel(site.repo / "wheels", base)
    values |= {"base": base, "folder": site.folder, "remote": site.remote, "wheel": wheel.name}
    values |= {"approvers": json.dumps(approvers), "pressers": json.dumps(pressers), "ports": free_ports(4)}
    (site.repo / "mmcicd.yaml").write_text(site.config.format(**values))
    for name, text in site.files.items():
        (site.repo / name).write_text(text.format(base=base))
        (site.repo / name).chmod(0o755)
    site.git("init", "-q", "-b", "main")
    site.git("remote", "add", "origin", site.remote)
    for words in (("generate",), *site.locked_by):
        done = site.cli(*words)
        assert done.returncode == 0, done.stderr
    site.push()


def make_wheel(folder, base):
    """A wheel of two files: the program, and who it is."""
    name = f"{version('mmcicd-jenkins')}+live"
    about = f"mmcicd_jenkins-{name}.dist-info"
    files = {
        "mmcicd_live_shim.py": SHIM.format(base=str(base), python=sys.executable),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: mmcicd-jenkins\nVersion: {name}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[console_scripts]\nmmcicd-jenkins = mmcicd_live_shim:main\n",
    }
    record = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""])
    wheel = folder / f"mmcicd_jenkins-{name}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def _digest(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
