"""From argv to an exit code: the lazy command group, signals, and the one place where errors end."""

import atexit
import contextlib
import gc
import importlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Mapping
from types import FrameType
from typing import NoReturn

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.errors import Interrupted, MmcicdError, OutsideFailed, Terminated

PROGRAM = "mmcicd-jenkins"
# The variable by which a shell asks what could stand next; people have it in their start-up files.
COMPLETE = "_MMCICD_JENKINS_COMPLETE"


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run, not when help is printed."""

    def __init__(self, table: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(
            name=PROGRAM,
            help="From git push to a TensorFlow model in production, on the Jenkins you already run.",
            epilog="Start: mmcicd-jenkins demo (a tour), or mmcicd-jenkins generate (in your own repository).",
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
            no_args_is_help=True,
            params=[
                click.Option(
                    ["--version"],
                    is_flag=True,
                    expose_value=False,
                    is_eager=True,
                    callback=_print_version,
                    help="Print the version.",
                )
            ],
        )
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(f"mmcicd_jenkins.cli.{self.table[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.table:
            import difflib

            from mmcicd_jenkins.stages import STAGES

            near = difflib.get_close_matches(args[0], self.table, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" See {PROGRAM} --help."
            if args[0] in STAGES:
                hint = f" It is a stage: {PROGRAM} stage {args[0]}"
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"{PROGRAM} {version(PROGRAM)}")
        ctx.exit()


def run_command_line(table: Mapping[str, tuple[str, str]]) -> NoReturn:
    """Run the command of `sys.argv` and exit with the code that `errors` gives its outcome."""
    as_json = "--json" in sys.argv
    # A command imports much and throws little away: looking for garbage every 700 objects only delays it.
    gc.set_threshold(100_000)
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, _hang_up)
    try:
        code = LazyGroup(table).main(standalone_mode=False, prog_name=PROGRAM, complete_var=COMPLETE)
        code = code if isinstance(code, int) else 0
    except MmcicdError as e:
        code = report.failed(e, as_json=as_json)
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = report.failed(
            Interrupted("interrupted; nothing is lost", fix="run the same command again"), as_json=as_json
        )
    except click.ClickException as e:
        e.show()
        code = 2
    except BrokenPipeError:
        # The reader of our output went away (`| head`); that is not a failure of the command.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except Exception as e:  # noqa: BLE001  the last line of defence: a bug of ours is told as one
        code = report.bug(e, as_json=as_json)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End at once: everything that must happen has happened, and Python would take apart what the system drops anyway.

    A thread that still runs may be in the middle of something: then the end is the usual one, which waits for it.
    """
    code = _flushed(code)
    if threading.active_count() > 1:
        gc.freeze()
        sys.exit(code)
    # Temporary folders are removed here, and libraries say good-bye.
    atexit._run_exitfuncs()  # noqa: SLF001  no public name does it
    code = _flushed(code)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def _flushed(code: int) -> int:
    """The code of a command that ended with `code`, once what it printed is on its way."""
    try:
        sys.stdout.flush()
    except OSError as e:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(e, BrokenPipeError):  # the reader went away, which is no failure
            what = "what the command printed cannot be written where it goes"
            return report.failed(OutsideFailed(what, why=e.strerror or str(e)), as_json=False)
    return code


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated("terminated; nothing is lost", fix="run the same command again")


def _hang_up(number: int, frame: FrameType | None) -> NoReturn:
    """The terminal was closed: end in order, and let nothing that is still written to it be an error of its own."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        with contextlib.suppress(OSError):  # one that was closed before
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(nowhere, stream)
    _terminate(number, frame)
