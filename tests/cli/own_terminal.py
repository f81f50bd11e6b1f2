"""A process whose controlling terminal is the pseudo terminal that a test holds the other end of."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Makes standard input the terminal that Ctrl-C comes from, and heeds it even under a shell that ignores it.
# A process of its own: where gRPC is loaded, as in the tests before this one, Python code after a fork breaks.
OWN_TERMINAL = """
import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execv(sys.executable, [sys.executable, "-m", "mmcicd_jenkins", *sys.argv[1:]])
"""


@contextmanager
def on_terminal(
    folder: Path, *arguments: str, **variables: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command line with `arguments` in `folder`, and the end of the terminal that a person sits at."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, *arguments],
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, **variables},
    ) as process:
        os.close(slave)
        try:
            yield process, master
        except BaseException:
            process.kill()
            raise
        finally:
            os.close(master)
