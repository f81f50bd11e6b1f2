"""How long `mmcicd-jenkins --help` takes against a Python that does nothing; and that it loads nothing heavy."""

import subprocess
import sys
from pathlib import Path

from benchmarks import harness

_GOAL = 6.0
_HEAVY = {
    "tensorflow",
    "grpc",
    "aiohttp",
    "matplotlib",
    "fsspec",
    "pydantic",
    "jinja2",
    "numpy",
    "yaml",
    "cryptography",
    "rich",
}


def heavy_modules() -> list[str]:
    """The heavy libraries that `--help` loads; there should be none."""
    code = (
        "import atexit, sys\nsys.argv = ['mmcicd-jenkins', '--help']\n"
        "atexit.register(lambda: print('\\n'.join(sys.modules), file=sys.stderr))\n"
        "from mmcicd_jenkins.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return sorted({name.split(".")[0] for name in done.stderr.split()} & _HEAVY)


def main() -> None:
    chosen = harness.options(__doc__ or "")
    program = str(Path(sys.executable).with_name("mmcicd-jenkins"))
    contenders = [
        harness.Contender(
            name="--help", version=harness.our_version(), command=lambda _: [program, "--help"]
        ),
        harness.Contender(
            name="python -c pass",
            version=harness.python_version(),
            command=lambda _: [sys.executable, "-c", "pass"],
        ),
    ]
    ours, peer = harness.alternate(contenders, chosen.runs or (3 if chosen.smoke else 15))
    ratio, heavy = harness.ratio_of(ours, peer), heavy_modules()
    harness.tell(
        {
            "name": "start_up",
            "what": "printing --help",
            "size": "one process",
            "runs": len(ours.seconds),
            "ours": ours.to_json(contenders[0]),
            "peer": peer.to_json(contenders[1]),
            "ratio": ratio,
            "cpu_ratio": harness.cpu_ratio_of(ours, peer),
            "goal": f"at most {_GOAL:g} times, no heavy module",
            "heavy_modules": heavy,
            "met": ratio <= _GOAL and not heavy,
        },
        chosen.json,
    )


if __name__ == "__main__":
    main()
