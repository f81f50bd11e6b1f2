"""What `mmcicdw` adds to a stage, once its program is cached: one `sh` with the wrapper, one with Python called directly.

Both run `--version` of the same environment by the same `sh`, so that the difference is the wrapper's own.
"""

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import harness
from mmcicd_jenkins.render.wrapper import PROGRAM, wrapper_text

_GOAL_MS = 5.0


def cached(folder: Path) -> tuple[Path, Path]:
    """A wrapper, and the cache in which it finds this very environment."""
    wrapper = folder / "mmcicdw"
    text = wrapper_text(f"{PROGRAM}=={harness.our_version()}")
    wrapper.write_text(text, encoding="utf-8")
    wrapper.chmod(0o755)
    key = next(line.partition("=")[2] for line in text.splitlines() if line.startswith("key="))
    place = folder / "cache" / key
    (place / "bin").mkdir(parents=True)
    (place / "ready").touch()
    for name in ("python", PROGRAM):
        (place / "bin" / name).symlink_to(Path(sys.executable).with_name(name))
    return wrapper, folder / "cache"


def main() -> None:
    chosen = harness.options(__doc__ or "")
    with tempfile.TemporaryDirectory(dir=chosen.folder) as made:
        wrapper, cache = cached(Path(made))
        program = Path(sys.executable).with_name(PROGRAM)
        step = f"MMCICD_CLI_HOME={shlex.quote(str(cache))} {shlex.quote(str(wrapper))} --version"
        direct = f"MMCICD_CLI_HOME={shlex.quote(str(cache))} {shlex.quote(str(program))} --version"
        assert subprocess.check_output(["sh", "-c", step]) == subprocess.check_output(["sh", "-c", direct])
        contenders = [
            harness.Contender(
                name="sh: mmcicdw", version=harness.our_version(), command=lambda _: ["sh", "-c", step]
            ),
            harness.Contender(
                name="sh: mmcicd-jenkins",
                version=harness.our_version(),
                command=lambda _: ["sh", "-c", direct],
            ),
        ]
        ours, peer = harness.alternate(contenders, chosen.runs or (3 if chosen.smoke else 101))
    overhead = (
        sorted(ours.seconds)[len(ours.seconds) // 2] - sorted(peer.seconds)[len(peer.seconds) // 2]
    ) * 1000
    harness.tell(
        {
            "name": "wrapper",
            "what": "one stage's sh with mmcicdw cached",
            "size": "--version",
            "runs": len(ours.seconds),
            "ours": ours.to_json(contenders[0]),
            "peer": peer.to_json(contenders[1]),
            "ratio": harness.ratio_of(ours, peer),
            "overhead_ms": round(overhead, 2),
            "goal": f"at most {_GOAL_MS:g} ms more",
            "met": overhead <= _GOAL_MS,
        },
        chosen.json,
    )


if __name__ == "__main__":
    main()
