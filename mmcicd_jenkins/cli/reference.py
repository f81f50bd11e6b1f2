"""The generated reference pages: `python -m mmcicd_jenkins.cli.reference docs/reference` writes them anew.

`cli.md` is read from the commands themselves, `config.md` from the schema, `lint.md` from the rules. A test compares
them with what stands in `docs/`, so a command, a key or a rule cannot change without its page.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from mmcicd_jenkins import errors
from mmcicd_jenkins.cli import COMMANDS, report
from mmcicd_jenkins.cli.frame import PROGRAM, LazyGroup
from mmcicd_jenkins.config.reference import reference as config_page
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.lint.reference import reference as lint_page
from mmcicd_jenkins.stages.workspace import write_atomically

_INTRODUCTION = """\
# The command line

This page is made from the commands: `make docs` writes it anew.

Every command has `--help`, and every command but `demo` has `--json`. Data goes to stdout, messages and progress to
stderr. Commands look for `mmcicd.yaml` in the current folder and the folders above it. A command that was killed or
interrupted is typed again and goes on.
"""

# What the generated Jenkinsfiles do with a code.
_JENKINS = {
    1: "fails the build",
    2: "fails the build",
    3: "fails the build",
    4: "unstable; nothing is released, the old version keeps serving",
    5: "fails the build",
    6: "unstable; nothing is released",
    7: "fails the build; never retried",
    8: "fails the build; never retried",
    75: "not built",
    130: "aborted",
    143: "aborted",
}
# An example may end with a remark in brackets; in a shell that is a comment.
_NOTE = re.compile(r"\s+\(([^()]*)\)$")
_MEANINGS = {1: "A bug of ours. The traceback is in the file that the message names."}


def pages() -> Mapping[str, str]:
    """The text of each generated page by its file name."""
    return {"cli.md": cli_page(), "config.md": config_page(), "lint.md": lint_page()}


def cli_page() -> str:
    program = LazyGroup(COMMANDS)
    context = click.Context(program, info_name=PROGRAM)
    contents = [f"| [`{name}`](#{_anchor(name)}) | {line} |" for name, (_, line) in COMMANDS.items()]
    commands = [part for name in COMMANDS for part in _command(program, context, name)]
    head = "\n".join(["| command | what it does |", "|---|---|", *contents, ""])
    return "\n".join([_INTRODUCTION, head, *commands, _exit_codes()])


def _anchor(path: str) -> str:
    return f"{PROGRAM} {path}".lower().replace(" ", "-")


def _command(group: click.Group, parent: click.Context, name: str) -> Iterator[str]:
    """A command, and after it those below it."""
    command = group.get_command(parent, name)
    if command is None:
        raise LookupError(name)
    context = click.Context(command, info_name=name, parent=parent)
    yield _section(command, context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            yield from _command(command, context, below)


def _section(command: click.Command, context: click.Context) -> str:
    told, examples = _split(f"{command.help or ''}\n\n{command.epilog or ''}")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    depth = "##" if context.parent and context.parent.parent is None else "###"
    lines = [f"{depth} {context.command_path}", "", told, "", "```text", usage, "```", ""]
    rows = [
        _row(option) for option in command.params if isinstance(option, click.Option) and not option.hidden
    ]
    if rows:
        lines += ["| option | what it does |", "|---|---|", *rows, ""]
    if examples:
        lines += ["```console", *(f"$ {example}" for example in examples), "```", ""]
    return "\n".join(lines)


def _split(text: str) -> tuple[str, list[str]]:
    """The paragraphs of a help text, and the commands of its lines `Example: ...`."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    examples = [
        _NOTE.sub(r"  # \1", p.removeprefix("Example: ")) for p in paragraphs if p.startswith("Example: ")
    ]
    told = [p for p in paragraphs if p and not p.startswith("Example: ")]
    return "\n\n".join(told), examples


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    if not option.is_flag:
        names += f" {_values(option)}"
    told = [option.help or ""]
    if option.show_default and option.default not in (None, ""):
        told.append(f"Default: {option.default}.")
    if option.required:
        told.append("Required.")
    return f"| {names} | {' '.join(told)} |".replace("||", "\\|\\|")


def _values(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "one of " + ", ".join(f"`{choice}`" for choice in option.type.choices)
    return option.metavar or option.type.name.upper().replace(" RANGE", "")


def _exit_codes() -> str:
    lines = [
        "## Exit codes",
        "",
        "A code keeps its meaning for ever; Jenkins and scripts may act on it. With `--json` an error is one object on",
        "stdout: `error`, `where`, `why`, `fix`, `exit_code`, `retryable`.",
        "",
        "| code | meaning | a generated Jenkinsfile |",
        "|---|---|---|",
        "| 0 | Done, or there was nothing to do. | goes on |",
    ]
    lines += [f"| {code} | {meaning} | {_JENKINS[code]} |" for code, meaning in _codes().items()]
    return "\n".join(lines) + "\n"


def _codes() -> Mapping[int, str]:
    """Every exit code with the first line of the error that stands for it."""
    found = {}
    for kind in vars(errors).values():
        if (
            isinstance(kind, type)
            and issubclass(kind, MmcicdError)
            and kind.__bases__[0] in (MmcicdError, Exception)
        ):
            line = (kind.__doc__ or "").strip().splitlines()[0]
            found[kind.exit_code] = _MEANINGS.get(kind.exit_code, line)
    return dict(sorted(found.items()))


def main(folder: Path) -> None:
    """Write every page that differs."""
    for name, text in pages().items():
        page = folder / name
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            write_atomically(page, text.encode())
            report.say(f"wrote {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
