"""A team's command, run: output, time, signals, orphans and secrets. Real processes throughout.

We test these aspects: statuses and their meaning; bounded memory on endless and binary output; the log;
timeout and grace; grandchildren, daemons and our own death by SIGKILL; secrets in every form.
"""

import base64
import json
import os
import re
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from mmcicd_jenkins.adapters.commands import ShellCommands
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.ports import Finished


def run(
    tmp_path: Path, command: str, *, timeout: float = 60, grace: float = 15, lines=None, **variables: str
) -> Finished:
    return ShellCommands(grace_seconds=grace).run(
        command,
        directory=tmp_path,
        variables=variables,
        log=tmp_path / "logs" / "train.log",
        timeout_seconds=timeout,
        on_line=None if lines is None else lines.append,
    )


def log_of(tmp_path: Path) -> bytes:
    return (tmp_path / "logs" / "train.log").read_bytes()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition, what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_the_status_output_and_log_of_a_command_that_fails(tmp_path: Path) -> None:
    lines: list[str] = []
    ended = run(tmp_path, "echo out; echo err >&2; echo $ANSWER; exit 7", lines=lines, ANSWER="42")
    assert (ended.status, ended.timed_out, ended.why) == (7, False, "")
    assert ended.last_lines == ("out", "err", "42")
    assert lines == ["out", "err", "42"]
    assert log_of(tmp_path) == b"out\nerr\n42\n"


def test_a_second_run_appends_to_the_log(tmp_path: Path) -> None:
    run(tmp_path, "echo one")
    run(tmp_path, "printf two")
    assert log_of(tmp_path) == b"one\ntwo"


@pytest.mark.parametrize(
    ("command", "status", "why"),
    [
        ("no-such-trainer --fast", 127, "not found"),
        ("./script", 126, "cannot be executed"),
        ("kill -9 $$", -9, "memory"),
        ("sh -c 'kill -9 $$'; exit $?", 137, "memory"),
        ("kill -SEGV $$", -11, "SIGSEGV"),
        ("exit 255", 255, ""),
    ],
)
def test_a_status_with_a_meaning_of_its_own_is_explained(
    tmp_path: Path, command: str, status: int, why: str
) -> None:
    (tmp_path / "script").write_text("echo hello")
    ended = run(tmp_path, command)
    assert ended.status == status
    assert (why in ended.why) if why else not ended.why


def test_a_command_that_cannot_be_started_is_an_input_error(tmp_path: Path) -> None:
    commands = ShellCommands()
    arguments = {"variables": {}, "log": tmp_path / "log", "timeout_seconds": 5.0}
    with pytest.raises(InputError, match="folder"):
        commands.run("true", directory=tmp_path / "absent", **arguments)
    with pytest.raises(InputError, match="NUL"):
        commands.run("true \0", directory=tmp_path, **arguments)
    with pytest.raises(InputError, match="no command"):
        commands.run("  ", directory=tmp_path, **arguments)
    with pytest.raises(InputError) as caught:
        commands.run("true", directory=tmp_path, **(arguments | {"variables": {"BIG": "x" * 10_000_000}}))
    assert "too long" in caught.value.why


def test_hostile_variables_are_data(tmp_path: Path) -> None:
    hostile = "$(touch pwned); `touch pwned` '\"\n -rf \u202e"
    ended = run(tmp_path, 'printf %s "$NAME" > seen', NAME=hostile)
    assert ended.status == 0
    assert (tmp_path / "seen").read_text() == hostile
    assert not (tmp_path / "pwned").exists()


def test_endless_lines_and_binary_output_stay_bounded(tmp_path: Path) -> None:
    lines: list[str] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = run(
        tmp_path, "head -c 60000000 /dev/zero; printf '\\n\\377\\376\\033[31mred\\007\\n'", lines=lines
    )
    assert ended.status == 0
    assert len(log_of(tmp_path)) > 60_000_000
    assert all(len(line) <= 500 for line in lines)
    assert not re.search(r"[\x00-\x08\x0a-\x1f]", "".join(lines))
    assert "red" in ended.last_lines[-1]
    (tmp_path / "logs" / "train.log").unlink()
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    ) < 200_000  # KiB; reading the log back included


def test_a_progress_bar_is_told_without_its_colours(tmp_path: Path) -> None:
    """What Keras draws by default, and a title that some tools set."""
    lines: list[str] = []
    bar = r"\033[1m38/38\033[0m \033[32m====\033[0m\033[37m\033[0m \033[1m0s\033[0m 2ms/step\033]0;title\007 loss: 0.6\n"
    ended = run(tmp_path, f"printf '{bar}'", lines=lines)
    assert lines == ["38/38 ==== 0s 2ms/step loss: 0.6"]
    assert ended.last_lines == ("38/38 ==== 0s 2ms/step loss: 0.6",)
    assert b"\033[1m38/38" in log_of(tmp_path)


def test_many_lines_keep_only_the_last(tmp_path: Path) -> None:
    ended = run(tmp_path, "seq 1 50000")
    assert ended.last_lines[-1] == "50000"
    assert len(ended.last_lines) == 30


def test_progress_bars_with_carriage_returns_are_lines(tmp_path: Path) -> None:
    lines: list[str] = []
    run(tmp_path, "printf '10 %%\\r20 %%\\rdone\\n'", lines=lines)
    assert lines == ["10 %", "20 %", "done"]


def test_a_command_that_hangs_is_told_and_may_checkpoint(tmp_path: Path) -> None:
    ended = run(
        tmp_path, "trap 'echo saved > checkpoint; exit 9' TERM; while :; do sleep 0.05; done", timeout=1
    )
    assert ended.timed_out
    assert ended.status == 9
    assert "still running after 1 s" in ended.why
    assert (tmp_path / "checkpoint").read_text() == "saved\n"


def test_a_command_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    ended = run(tmp_path, "trap '' TERM; while :; do sleep 0.05; done", timeout=0.5, grace=0.5)
    assert ended.timed_out
    assert ended.status == -signal.SIGKILL


DAEMON = """python3 -c '
import os, time
if os.fork():
    time.sleep(0.2); os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
print(os.getpid(), flush=True); time.sleep(600)'"""


@pytest.mark.parametrize(
    "start",
    [
        "sleep 600 & echo $!",
        "setsid sleep 600 & echo $!",
        "nohup sh -c 'trap \"\" TERM HUP; echo $$ > pid; while :; do sleep 1; done' >/dev/null 2>&1 & sleep 0.3; cat pid",
        DAEMON,
    ],
    ids=["child", "own-session", "ignores-term", "daemon"],
)
def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path, start: str) -> None:
    ended = run(tmp_path, start)
    assert ended.status == 0
    assert not is_alive(int(ended.last_lines[-1]))


def test_an_error_in_the_listener_leaves_no_process(tmp_path: Path) -> None:
    def refuse(_line: str) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        ShellCommands().run(
            "echo $$ > pid; echo line; sleep 600",
            directory=tmp_path,
            variables={},
            log=tmp_path / "log",
            timeout_seconds=60,
            on_line=refuse,
        )
    assert not is_alive(int((tmp_path / "pid").read_text()))


# With a thread beside it the supervisor is an interpreter of its own, else a copy of the runner.
WAYS = ("copy", "interpreter")
RUNNER = """
    import sys
    import threading
    from pathlib import Path
    from mmcicd_jenkins.adapters.commands import ShellCommands
    from mmcicd_jenkins.errors import MmcicdError
    root = Path(sys.argv[1])
    if "interpreter" in sys.argv:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    try:
        ended = ShellCommands(grace_seconds=5, lock_seconds=20).run(
            sys.argv[2], directory=root, variables={}, log=root / "log", timeout_seconds=120)
    except MmcicdError as e:
        print(e.what)
        sys.exit(e.exit_code)
    print(ended.status)
"""


def start_runner(tmp_path: Path, command: str, way: str = "copy") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUNNER), str(tmp_path), command, way],
        stdout=subprocess.PIPE,
        text=True,
    )


STUBBORN = "trap 'echo saved > checkpoint; exit 3' TERM INT; echo $$ > pid; while :; do date +%s%N > tick; sleep 0.02; done"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("way", WAYS)
def test_a_signal_to_us_reaches_the_command_first(way: str, tmp_path: Path, number: int, code: int) -> None:
    runner = start_runner(tmp_path, STUBBORN, way)
    wait_for((tmp_path / "tick").exists, "the command did not start")
    runner.send_signal(number)
    output, _ = runner.communicate(timeout=30)
    assert runner.returncode == code
    assert "ended with status 3" in output
    assert (tmp_path / "checkpoint").read_text() == "saved\n"
    assert not is_alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_twice_kills_at_once(way: str, tmp_path: Path) -> None:
    runner = start_runner(
        tmp_path, "trap 'echo > heard' INT; echo $$ > pid; while :; do sleep 0.02; done", way
    )
    wait_for((tmp_path / "pid").exists, "the command did not start")
    runner.send_signal(signal.SIGINT)
    wait_for((tmp_path / "heard").exists, "the command was not told")
    runner.send_signal(signal.SIGINT)
    output, _ = runner.communicate(timeout=30)
    assert runner.returncode == 130
    assert "ended by SIGKILL" in output


@pytest.mark.parametrize("way", WAYS)
def test_training_does_not_outlive_our_own_death(way: str, tmp_path: Path) -> None:
    runner = start_runner(tmp_path, "setsid sleep 600 & echo $! > daemon; " + STUBBORN, way)
    wait_for((tmp_path / "tick").exists, "the command did not start")
    runner.kill()
    runner.wait()
    # The next run with the same log starts only when the remains of the first are gone.
    ended = ShellCommands().run(
        "kill -0 $(cat pid) 2>/dev/null && echo overlap; kill -0 $(cat daemon) 2>/dev/null && echo overlap; true",
        directory=tmp_path,
        variables={},
        log=tmp_path / "log",
        timeout_seconds=30,
    )
    assert ended.last_lines == ()
    runner.stdout.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_supervisor_takes_its_command_along(way: str, tmp_path: Path) -> None:
    runner = start_runner(tmp_path, "sleep 600 & echo $! > child; " + STUBBORN, way)
    wait_for((tmp_path / "tick").exists, "the command did not start")
    command = int((tmp_path / "pid").read_text())
    supervisor = int(Path(f"/proc/{command}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    output, _ = runner.communicate(timeout=30)
    assert output == "-9\n"
    wait_for(
        lambda: not is_alive(command) and not is_alive(int((tmp_path / "child").read_text())), "left behind"
    )


# The C library keeps signals 32 and 33 for its threads: no program can set them, and what it inherited it may lose.
WORLD = """
ls -l /proc/self/fd | grep -v ' -> /proc/' | sed 's/.* \\([0-9]* -> \\)/\\1/; s/\\[[0-9]*\\]//'
grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status | while read -r set bits; do
  printf '%s %x\\n' "$set" "$((0x$bits & ~0x180000000))"
done
pwd; umask; ulimit -a; env | grep -v '^_=' | sort; id
read -r _ _ _ parent group session _ < /proc/$$/stat
test "$session" -eq "$parent" && echo the supervisor leads the session
test "$group" -eq "$$" && echo in a group of its own
"""


def test_a_command_finds_the_same_world_whichever_way_it_is_started(tmp_path: Path) -> None:
    worlds = []
    for way in WAYS:
        runner = start_runner(tmp_path, WORLD, way)
        output, _ = runner.communicate(timeout=30)
        assert output == "0\n", (tmp_path / "log").read_text()
        worlds.append((tmp_path / "log").read_text())
        (tmp_path / "log").unlink()
    assert worlds[0] == worlds[1]
    assert worlds[0].endswith("leads the session\nin a group of its own\n")


def test_locks_of_ours_are_not_held_by_what_we_start(tmp_path: Path) -> None:
    """A supervisor that outlives us for a moment must not keep the next run from its work."""
    code = """
        import fcntl
        held = open(sys.argv[1] + "/held", "wb")
        fcntl.flock(held, fcntl.LOCK_EX)
    """
    runner = subprocess.Popen(
        [
            sys.executable, "-c", "import sys\n" + textwrap.dedent(code) + textwrap.dedent(RUNNER), str(tmp_path),
            STUBBORN,
        ],
    )  # fmt: skip
    wait_for((tmp_path / "tick").exists, "the command did not start")
    command = int((tmp_path / "pid").read_text())
    supervisor = int(Path(f"/proc/{command}/stat").read_text().rpartition(")")[2].split()[1])
    holding = [str(file.readlink()) for file in Path(f"/proc/{supervisor}/fd").iterdir()]
    assert str(tmp_path / "log") in holding
    assert str(tmp_path / "held") not in holding
    runner.terminate()
    runner.wait()


def test_a_closed_standard_stream_is_no_obstacle(tmp_path: Path) -> None:
    runner = ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", textwrap.dedent(RUNNER), str(tmp_path)]
    ended = subprocess.run(
        [*runner, "cat; echo done"], capture_output=True, text=True, check=True, timeout=30
    )
    assert ended.stdout == "0\n"
    assert (tmp_path / "log").read_text() == "done\n"


def test_two_runs_at_once_on_one_log(tmp_path: Path) -> None:
    runner = start_runner(tmp_path, STUBBORN)
    wait_for((tmp_path / "tick").exists, "the command did not start")
    with pytest.raises(OutsideFailed, match="another run") as caught:
        ShellCommands(lock_seconds=0.2).run(
            "true", directory=tmp_path, variables={}, log=tmp_path / "log", timeout_seconds=5
        )
    assert caught.value.retryable
    runner.terminate()
    runner.communicate(timeout=30)


def test_a_log_that_cannot_be_written_stops_the_command(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideFailed, match="log"):
        ShellCommands().run(
            "true", directory=tmp_path, variables={}, log=tmp_path / "file" / "log", timeout_seconds=5
        )
    code = """
        import resource, signal
        from mmcicd_jenkins.errors import OutsideFailed
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    """
    full = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code) + textwrap.dedent(RUNNER), str(tmp_path), "yes"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert full.returncode == OutsideFailed.exit_code, full.stderr
    assert "log" in full.stdout


SECRET = 'hunter2/Grüße+"quoted"='


def test_secrets_leave_in_no_form(tmp_path: Path) -> None:
    lines: list[str] = []
    (tmp_path / "encoded").write_text(
        "\n".join(
            [
                SECRET,
                quote(SECRET, safe=""),
                json.dumps(SECRET),
                *(
                    base64.b64encode(prefix + SECRET.encode()).decode()
                    for prefix in (b"", b"a", b"ab", b"user:")
                ),
                "fetch https://bob:swordfish@example.org/x\n",
            ]
        )
    )
    ended = run(tmp_path, 'cat encoded; printf %s "$DB_PASSWORD"', lines=lines, DB_PASSWORD=SECRET)
    for shown in (*lines, *ended.last_lines, log_of(tmp_path).decode()):
        assert "hunter2" not in shown
        assert "Gr" not in shown
        assert base64.b64encode(SECRET.encode()).decode()[4:16] not in shown
        assert "swordfish" not in shown
    assert "fetch https://bob:***@example.org/x" in ended.last_lines


def test_a_secret_on_an_endless_line_is_hidden_wherever_it_is_cut(tmp_path: Path) -> None:
    secret = "0123456789abcdef"
    for before in (65_530, 65_536, 131_066):
        run(
            tmp_path,
            f"head -c {before} /dev/zero; printf %s $API_TOKEN; head -c 90000 /dev/zero",
            API_TOKEN=secret,
        )
    assert secret.encode() not in log_of(tmp_path)
    assert log_of(tmp_path).count(b"***") == 3


def test_short_and_ordinary_values_are_not_hidden(tmp_path: Path) -> None:
    ended = run(tmp_path, "echo on monkey banana", USE_TOKEN="on", MONKEY="banana")
    assert ended.last_lines == ("on monkey banana",)
