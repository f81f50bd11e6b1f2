"""`python -m mmcicd_jenkins.serving --state DIR`: serve what DIR's desired state says.

With `--detach` the process forks before anything heavy is imported and the starter gets its status: 0 when the
server took the directory over, 75 when one runs there already.
"""

import argparse
import os
import sys
from pathlib import Path

from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.release.desired import OUTPUT
from mmcicd_jenkins.serving.process import Server
from mmcicd_jenkins.serving.state import StateDirectory


def main() -> int:
    parser = argparse.ArgumentParser(prog="mmcicd_jenkins.serving", description="Serve a state directory.")
    parser.add_argument("--state", required=True, type=Path, help="directory with desired.json")
    parser.add_argument("--detach", action="store_true", help="go on in the background")
    options = parser.parse_args()
    state = StateDirectory(options.state.resolve())
    try:
        state.acquire()
        if options.detach and not _detach(state.root):
            return 0
        # TensorFlow reads this at import: its notices about the processor are not events.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        Server(state).run()
    except MmcicdError as e:
        sys.stderr.write(f"error: {e.what}\n")
        return e.exit_code
    return 0


def _detach(root: Path) -> bool:
    """Fork; False in the starter. The child leads its own session and writes to a file of its own."""
    if os.fork():
        return False
    os.setsid()
    output = os.open(root / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for target, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, target)
    os.chdir(root)
    return True


if __name__ == "__main__":
    sys.exit(main())
