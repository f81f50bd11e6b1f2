"""The team's commands in a container: `ports.Commands` for models that name an image, the shell for all others.

Where a command runs stands among its variables (`MMCICD_IMAGE`), so that test, training and evaluation need not know.
Inside it finds the checkout and every folder that a variable names at the same path, runs as the same user and group,
and has our environment without what belongs to this machine. The container goes when the command ends or we do; what a
killed process left is removed by the next command in the same folder.
"""

import contextlib
import hashlib
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mmcicd_jenkins.adapters.commands import (
    GRACE_SECONDS,
    LONGEST_LINE,
    Output,
    ShellCommands,
    Stops,
    check_command,
    meaning,
    open_log,
    stopped,
)
from mmcicd_jenkins.adapters.credentials import without_ours
from mmcicd_jenkins.adapters.docker.containers import (
    CannotStartError,
    Container,
    Ended,
    Wanted,
    create,
    remove_leftovers,
)
from mmcicd_jenkins.adapters.docker.engine import DockerEngine, Login, dockers_own
from mmcicd_jenkins.adapters.private_folder import told
from mmcicd_jenkins.adapters.redaction import Redactor
from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.ports import Finished

# By digest; as it is written in mmcicd.yaml.
IMAGE, NAME = "MMCICD_IMAGE", "MMCICD_IMAGE_NAME"
GPUS = "MMCICD_GPUS"
# Set by a pod template or an agent that runs in that image itself.
HERE = "MMCICD_IN_IMAGE"
OWNER, FOLDER = "command", "io.mmcicd.folder"
# For the remains of an earlier run that writes the same log.
LOCK_SECONDS = 30.0
# Workers of a data loader pass batches through /dev/shm; Docker's own 64 MB end them with a bus error.
SHARED_MEMORY = 2 * 2**30
# What runs first inside. The container dies with its first process, and a shell that waits for a training dies of the
# signal that the training must answer: so this one stays until nothing of the command is left. After a command that
# ended by itself, what it left behind is told to go and has two seconds, as outside of a container.
# The file that it is given first is ours: without it the folders are those of another machine.
_SHELL = """
[ -e "$2" ] || { echo "mmcicd: $2 is not here" >&2; exit 125; }
trap 'told=1' TERM INT
/bin/sh -c "$1" &
child=$!
while :; do
    wait "$child"
    status=$?
    kill -0 "$child" 2>/dev/null || break
done
[ -n "$told" ] || kill -TERM -1 2>/dev/null
count=0
while kill -0 -1 2>/dev/null; do
    count=$((count + 1))
    [ -n "$told" ] || [ "$count" -le 2 ] || break
    sleep 1
done
exit "$status"
"""
# Variables that say how this machine is made; an image has its own.
_OF_THIS_MACHINE = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "HOSTNAME", "TMPDIR", "TERM", "SHLVL", "_",
        "VIRTUAL_ENV", "DISPLAY", "MAIL", "LANG", "LANGUAGE", "TZ", "JAVA_HOME", HERE,
    }
)  # fmt: skip
_PREFIXES_OF_THIS_MACHINE = (
    "LD_", "PYTHON", "PYENV_", "CONDA_", "XDG_", "SSH_", "DOCKER_", "DBUS_", "LC_", "NVIDIA_", "CUDA_", "MMCICD_FAILPOINTS",
)  # fmt: skip
# What the caller gives besides MMCICD_* and names a folder of this machine.
_ALSO_PATHS = frozenset({"PYTEST_DEBUG_TEMPROOT"})
# Our own program.
_ONLY_READ = frozenset({"MMCICD_SCORER"})


class ImageCommands:
    """`ports.Commands`.

    Args:
        direct: runs what names no image, and what runs in its image already.
        engine: opens the Docker engine; asked for when the first command needs it.
        root: the checkout.
        login: what to log in with to have an image; None = what Docker's own configuration has.
    """

    def __init__(
        self,
        direct: ShellCommands,
        engine: Callable[[], DockerEngine],
        root: Path,
        login: Login = dockers_own,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._direct = direct
        self._engine = engine
        self._root = root
        self._login = login
        self._grace_seconds = grace_seconds

    def run(
        self,
        command: str,
        *,
        directory: Path,
        variables: Mapping[str, str],
        log: Path,
        timeout_seconds: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Finished:
        """See `ports.Commands.run`; with an image also what a container can do wrong.

        Raises:
            OutsideFailed: the engine failed, or cannot have the image.
        """
        image = variables.get(IMAGE, "")
        if not image or is_here(image, variables.get(NAME, ""), os.environ.get(HERE, "")):
            return self._direct.run(
                command,
                directory=directory,
                variables=variables,
                log=log,
                timeout_seconds=timeout_seconds,
                on_line=on_line,
            )
        check_command(command, directory, variables)
        engine = self._engine()
        if engine.image(image) is None:
            engine.pull(image, self._login(image), on_line)
        wanted = self._wanted(engine, image, command, directory, variables, log)
        with open_log(log, LOCK_SECONDS) as file, Stops() as stops:
            output = Output(file, Redactor({**os.environ, **variables}), on_line)
            started = time.monotonic()
            ended, timed_out = self._watch(engine, wanted, (stops, output), timeout_seconds)
            self._refuse_other_machine(engine, output)
            if stops.received:
                raise stopped(stops.received, ended.status, str(log))
            why = meaning(ended.status, timed_out, timeout_seconds)
            return Finished(
                status=ended.status,
                last_lines=tuple(output.last_lines),
                seconds=time.monotonic() - started,
                timed_out=timed_out,
                why="it was killed because memory ran out" if ended.out_of_memory else why,
            )

    def _watch(
        self, engine: DockerEngine, wanted: Wanted, ours: tuple[Stops, Output], timeout_seconds: float
    ) -> tuple[Ended, bool]:
        """Run the container to its end; how it ended, and whether it took too long."""
        stops, output = ours
        remove_leftovers(engine, OWNER, wanted.labels)
        container = create(engine, wanted)
        try:
            self._mark()
            failpoint("docker.command-made")
            timed_out = _Watched(container, self._grace_seconds).run(stops, output, timeout_seconds)
            ended = container.ended() or Ended(status=128 + signal.SIGKILL, out_of_memory=False)
        finally:
            container.remove()
        output.close()
        return ended, timed_out

    @property
    def _marker(self) -> Path:
        return self._root.absolute() / ".mmcicd" / "here"

    def _mark(self) -> None:
        with told(self._marker, "make the folder writable"):
            self._marker.parent.mkdir(exist_ok=True)
            self._marker.touch()

    def _refuse_other_machine(self, engine: DockerEngine, output: Output) -> None:
        """Raises `OutsideFailed` when the container got folders of the same names from elsewhere."""
        if f"mmcicd: {self._marker} is not here" in output.last_lines:
            raise OutsideFailed(
                "the Docker engine does not see the folders of this machine",
                where=engine.name,
                why=f"a container that mounts {self._root} finds another folder: the engine runs on another machine, or we in "
                "a container ourselves",
                fix="run this where the engine runs, with the checkout at the same path; on Kubernetes, train on a pod "
                "whose image is the training's",
            )

    def _wanted(
        self,
        engine: DockerEngine,
        image: str,
        command: str,
        directory: Path,
        variables: Mapping[str, str],
        log: Path,
    ) -> Wanted:
        known = engine.image(image) or {}
        own = {line.partition("=")[0] for line in (known.get("Config") or {}).get("Env") or ()}
        return Wanted(
            image=image,
            owner=OWNER,
            labels={FOLDER: hashlib.sha256(str(log.absolute()).encode()).hexdigest()[:32]},
            # The image's own entry point would read the command as its arguments.
            entrypoint=("/bin/sh",),
            command=("-c", _SHELL, "sh", command, str(self._marker)),
            environment=inside(os.environ, variables, own),
            directory=str(directory),
            user=f"{os.getuid()}:{os.getgid()}",
            groups=tuple(os.getgroups()),
            binds=mounted(self._root, variables),
            network="default",
            read_only=False,
            gpus=int(variables.get(GPUS) or 0),
            shared_memory_bytes=SHARED_MEMORY,
            # A signal must reach the training, not end a shell that waits for it.
            init=True,
        )


def is_here(image: str, written: str, here: str) -> bool:
    """Whether we run inside the image already, as who made this agent says: by its name as written, or by its digest."""
    digest = image.partition("@")[2]
    return bool(here and (here in {image, written, digest} or (digest and here.endswith(f"@{digest}"))))


def inside(ours: Mapping[str, str], given: Mapping[str, str], own: set[str]) -> dict[str, str]:
    """The variables of a command in a container: what was given, and of ours what no machine and no image owns."""
    kept = {
        name: value
        for name, value in without_ours(ours).items()
        if name not in _OF_THIS_MACHINE and not name.startswith(_PREFIXES_OF_THIS_MACHINE) and name not in own
    }
    return {
        # Libraries keep caches in a home; the user of this machine has none in there.
        "HOME": "/tmp",  # noqa: S108  the container's own
        "PYTHONUNBUFFERED": "1",
        # The small init forwards signals to all that the shell started, not to the shell alone.
        "TINI_KILL_PROCESS_GROUP": "1",
        **kept,
        **given,
    }


def mounted(root: Path, variables: Mapping[str, str]) -> dict[Path, bool]:
    """The checkout, and the folders of this machine that variables name outside of it; whether each may be written to."""
    found = {root.absolute(): True}
    for name, value in sorted(variables.items()):
        if not (name.startswith("MMCICD_") or name in _ALSO_PATHS) or not value.startswith("/"):
            continue
        path = Path(value)
        folder = path if path.is_dir() else path.parent
        if folder.is_dir() and not any(folder.is_relative_to(known) for known in found):
            found[folder] = name not in _ONLY_READ
    return found


class _Watched:
    """A container that is run to its end: its output handed on, orders and time limits carried out."""

    def __init__(self, container: Container, grace_seconds: float) -> None:
        self._container = container
        self._grace_seconds = grace_seconds
        self._orders: deque[bytes] = deque()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._failed: MmcicdError | None = None

    def order(self, letter: bytes) -> None:
        """Called from a signal handler: only notes it, the loop acts."""
        self._orders.append(letter)
        with contextlib.suppress(OSError):  # full, or closed: the loop looks anyway, or has ended
            os.write(self._wake_write, b"!")

    def run(self, stops: Stops, output: Output, timeout_seconds: float) -> bool:
        """True when it took too long."""
        try:
            self._container.start()
        except CannotStartError as e:
            raise InputError(
                "the image cannot run a command",
                why=str(e),
                fix="it needs /bin/sh; build it on a system that has one",
            ) from e
        stops.forward_to(self)
        with self._output() as lines:
            return self._follow(lines, output, time.monotonic() + timeout_seconds)

    @contextlib.contextmanager
    def _output(self) -> Iterator[int]:
        """A pipe with what the container prints; at its end when the container has ended."""
        read, write = os.pipe2(os.O_CLOEXEC)
        thread = threading.Thread(target=self._copy, args=(write,), daemon=True, name="container-output")
        thread.start()
        try:
            yield read
        finally:
            os.close(read)
            ends, self._wake_write = (self._wake_read, self._wake_write), -1
            for end in ends:
                os.close(end)

    def _copy(self, write: int) -> None:
        try:
            for piece in self._container.output(follow=True):
                view = memoryview(piece)
                while view:
                    view = view[os.write(write, view) :]
        except BrokenPipeError:
            pass  # nobody listens any more
        except MmcicdError as e:
            self._failed = e
        finally:
            os.close(write)

    def _follow(self, lines: int, output: Output, deadline: float) -> bool:
        timed_out, killing = False, False
        while True:
            left = None if killing else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([lines, self._wake_read], [], [], left)
            if self._wake_read in ready:
                os.read(self._wake_read, 64)
            while self._orders:
                deadline = self._obey(self._orders.popleft(), deadline)
            if lines in ready:
                piece = os.read(lines, LONGEST_LINE)
                if not piece:
                    break
                output.take(piece)
            if not killing and time.monotonic() >= deadline:
                if timed_out or self._told_to_end:
                    killing = True
                    self._container.signal("SIGKILL")
                else:
                    timed_out = True
                    deadline = self._obey(b"T", deadline)
        if self._failed is not None and self._container.ended() is None:
            raise OutsideFailed(
                "the engine stopped telling what a command prints",
                where=self._failed.where,
                why=self._failed.why,
                fix="the same command again: it goes on from its checkpoint",
                retryable=True,
            )
        self._container.wait()
        return timed_out

    _told_to_end = False

    def _obey(self, letter: bytes, deadline: float) -> float:
        """Carry out an order; returns the new deadline, at which what is left is killed."""
        # Shells give SIGINT to nothing that runs in their background; SIGTERM means the same to a training.
        self._container.signal("SIGKILL" if letter == b"K" else "SIGTERM")
        if self._told_to_end:
            return deadline
        self._told_to_end = True
        return time.monotonic() + self._grace_seconds
