"""Appending to and reading from a ledger with ten thousand releases, against git's bare plumbing on the same bytes.

The peer is what git alone needs when nobody decides, checks, locks or waits: blobs, an index that is kept warm,
a tree, a commit, a moved branch; and for a read, one file printed. Both are Python processes that do the same
number of operations in a row, start-up included. `floor` is the same process doing nothing.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import harness
from benchmarks.long_history import WHO, write_history

_GOAL = 4.0
_OPERATIONS = 40
_MODEL = "m"
_BRANCH = f"refs/heads/mmcicd/{_MODEL}"
_POINTER = "environments/production.json"


def ours_append(url: Path) -> None:
    from mmcicd_jenkins.release.history import begin, fail

    ledger = _ledger(url)
    for _ in range(_OPERATIONS // 2):
        begun = ledger.commit(_MODEL, lambda s: begin(s, "production", "promote", 1, WHO))
        epoch = begun.pointer("production").epoch
        ledger.commit(_MODEL, lambda s, e=epoch: fail(s, "production", e, WHO))


def ours_read(url: Path) -> None:
    for _ in range(_OPERATIONS):
        _ledger(url).snapshot(_MODEL).pointer("production")


def _ledger(url: Path):
    from mmcicd_jenkins.adapters.git.ledger import GitLedger
    from mmcicd_jenkins.adapters.signing import DsseSigner
    from mmcicd_jenkins.adapters.system_clock import SystemClock

    return GitLedger(str(url), signer=DsseSigner((), None), clock=SystemClock())


def peer_append(url: Path) -> None:
    index = {"GIT_INDEX_FILE": str(url / "peer-index")}
    head = _git(url, "rev-parse", _BRANCH)
    _git(url, "read-tree", head, **index)
    names = {"head.json": 180, _POINTER: 700, "events/099/99999.json": 800}
    for _ in range(_OPERATIONS):
        files = [url / f"peer-{n}" for n in range(len(names))]
        for file, size in zip(files, names.values(), strict=True):
            file.write_bytes(os.urandom(size // 2).hex().encode())
        oids = _git(url, "hash-object", "-w", "--stdin-paths", stdin="".join(f"{f}\n" for f in files)).split()
        listed = "".join(f"100644 {oid}\t{path}\n" for oid, path in zip(oids, names, strict=True))
        _git(url, "update-index", "--add", "--index-info", stdin=listed, **index)
        tree = _git(url, "write-tree", **index)
        commit = _git(url, "commit-tree", "-p", head, "-m", "x", tree)
        _git(url, "update-ref", _BRANCH, commit, head)
        head = commit


def peer_read(url: Path) -> None:
    for _ in range(_OPERATIONS):
        _git(url, "cat-file", "-p", f"{_BRANCH}:{_POINTER}")


def nothing(_url: Path) -> None:
    return


def _git(url: Path, *arguments: str, stdin: str = "", **variables: str) -> str:
    identity = {f"GIT_{who}_{what}": "p" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "--git-dir=.", *arguments],
        cwd=url,
        env=os.environ | identity | variables,
        input=stdin.encode(),
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


_WORK = {f.__name__: f for f in (ours_append, ours_read, peer_append, peer_read, nothing)}


def contender(name: str, version: str, work: str, url: Path) -> harness.Contender:
    return harness.Contender(
        name=name,
        version=version,
        command=lambda _: [sys.executable, "-m", "benchmarks.ledger", work, str(url)],
    )


def benchmark(releases: int, runs: int, folder: Path) -> dict[str, object]:
    for name in ("ours", "peer"):
        write_history(folder / name, _MODEL, releases)
        ours_append(folder / name)
    git_version = (
        subprocess.run(["git", "--version"], capture_output=True, check=True).stdout.decode().strip()
    )
    ours = contender("mmcicd-jenkins", harness.our_version(), "ours_append", folder / "ours")
    peer = contender("git plumbing", git_version, "peer_append", folder / "peer")
    our_read = contender("mmcicd-jenkins", harness.our_version(), "ours_read", folder / "ours")
    peer_one_read = contender("git cat-file", git_version, "peer_read", folder / "peer")
    floor = contender("nothing", harness.python_version(), "nothing", folder / "peer")
    told = (ours, peer, our_read, peer_one_read, floor)
    append, peer_appended, read, peer_was_read, start = harness.alternate(told, runs)
    ratio = harness.ratio_of(append, peer_appended)
    return {
        "name": "ledger",
        "what": f"{_OPERATIONS} appends in a row",
        "size": f"{releases} releases in one ledger",
        "runs": runs,
        "ours": append.to_json(ours),
        "peer": peer_appended.to_json(peer),
        "floor": start.to_json(floor),
        "read": {
            "what": f"{_OPERATIONS} reads of a pointer",
            "ours": read.to_json(our_read),
            "peer": peer_was_read.to_json(peer_one_read),
            "ratio": harness.ratio_of(read, peer_was_read),
        },
        "ratio": ratio,
        "goal": f"an append at most {_GOAL:g} times",
        "met": ratio <= _GOAL,
    }


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] in _WORK:
        _WORK[sys.argv[1]](Path(sys.argv[2]))
        return
    chosen = harness.options(__doc__ or "")
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        result = benchmark(
            200 if chosen.smoke else 10_000, chosen.runs or (1 if chosen.smoke else 5), Path(folder)
        )
    harness.tell(result, chosen.json)


if __name__ == "__main__":
    main()
