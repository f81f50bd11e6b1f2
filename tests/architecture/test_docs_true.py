"""What the documentation says is true: paths, commands, options, variables, links, configurations, examples.

A page that names something which is not there fails here with its line. Whoever renames a command, an option, a key
or a file finds every sentence about it by these tests.
"""

import ast
import configparser
import re
from functools import cache

import click
import pytest
from markdown_pages import ROOT, our_calls, page, pages, simple_commands

from mmcicd_jenkins.cli import COMMANDS
from mmcicd_jenkins.cli.frame import PROGRAM, LazyGroup
from mmcicd_jenkins.cli.reference import pages as reference_pages

PAGES = pages()
DOCS = ROOT / "docs"
# Options of other programs that pages name.
FOREIGN_OPTIONS = {"--force-with-lease", "--server-side", "--depth", "--monitoring_config_file"}
OWN_FOLDERS = ("mmcicd_jenkins/", "docs/", "templates/", "benchmarks/", ".ci/", "tests/architecture/", "tests/golden/",
               "tests/real/", "tests/unit/", "tests/contract/", "tests/cli/", "tests/system/")  # fmt: skip


@cache
def program():
    return LazyGroup(COMMANDS)


def find_command(words):
    """The command that words name, and the words after it."""
    command, words = program(), list(words)
    context = click.Context(command, info_name=PROGRAM)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        if found is None:
            raise LookupError(f"there is no command {name}")
        command, context = found, click.Context(found, info_name=name, parent=context)
    return command, words


def is_placeholder(word):
    return word.isupper() or "..." in word


def check_value(parameter, value):
    if isinstance(parameter.type, click.Choice) and not is_placeholder(value):
        assert value in parameter.type.choices, f"{value} is none of {', '.join(parameter.type.choices)}"


def check_call(words):
    command, words = find_command(words)
    options = {name: o for o in command.params if isinstance(o, click.Option) for name in o.opts}
    arguments = [a for a in command.params if isinstance(a, click.Argument)]
    while words:
        word = words.pop(0)
        name, sign, value = word.partition("=")
        if name in {"--help", "-h"}:
            continue
        if word.startswith("--"):
            assert name in options, f"{command.name} has no option {name}"
            if not options[name].is_flag:
                check_value(options[name], value if sign else words.pop(0))
        else:
            assert arguments, f"{command.name} takes no {word}"
            check_value(arguments.pop(0), word)


def check_all(check, things):
    """Call `check` on each (place, thing); tell every failure with its place, so that one run shows them all."""
    wrong = []
    for place, thing in things:
        try:
            check(thing)
        except (AssertionError, LookupError, ValueError, OSError) as e:
            wrong.append(f"{place}: {thing}: {str(e).splitlines()[0]}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def test_commands_exist_with_their_options():
    calls = [
        (f"{p.name}:{line}", call)
        for p in PAGES
        for line, text in p.shell_lines()
        for call in our_calls(text)
    ]

    assert len(calls) > 50
    check_all(check_call, calls)


def test_options_named_alone_exist():
    everything = {name for command in all_commands(program()) for o in command.params for name in o.opts}
    named = [
        (f"{p.name}:{line}", code.split("=")[0].split(" ")[0])
        for p in PAGES
        for line, code in p.codes()
        if code.startswith("--")
    ]

    def check(option):
        assert option in everything | FOREIGN_OPTIONS | {"--help"}, "no command has it"

    check_all(check, named)


def all_commands(group):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield command
        if isinstance(command, click.Group):
            yield from all_commands(command)


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [
        (f"{p.name}:{line}", words[1])
        for p in PAGES
        for line, text in p.shell_lines()
        for words in simple_commands(text)
        if words[:1] == ["make"] and "=" not in words[1]
    ]

    def check(target):
        assert target in targets, "the Makefile has no such target"

    assert named
    check_all(check, named)


def test_paths_exist():
    named = [
        (f"{p.name}:{line}", code)
        for p in PAGES
        for line, code in p.codes()
        if code.startswith(OWN_FOLDERS) and " " not in code
    ]

    def check(path):
        assert any(ROOT.glob(path.rstrip("/"))), "there is no such path"

    check_all(check, named)


def test_modules_and_their_names_exist():
    named = [
        (f"{p.name}:{line}", code)
        for p in PAGES
        for line, code in p.codes()
        if re.fullmatch(r"mmcicd_jenkins(\.\w+)+", code)
    ]

    def check(dotted):
        path, parts = ROOT, dotted.split(".")
        while parts and (path / parts[0]).is_dir():
            path /= parts.pop(0)
        if parts and (path / f"{parts[0]}.py").is_file():
            path /= f"{parts.pop(0)}.py"
        file = path if path.is_file() else path / "__init__.py"
        assert not parts or set(parts[:1]) <= names_of(file), f"{file.relative_to(ROOT)} has no {parts[0]}"

    check_all(check, named)


def names_of(file):
    tree = ast.parse(file.read_text())
    names = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    names |= {
        t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
    }
    return names | {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}


def test_variables_exist():
    source = "\n".join(
        p.read_text(errors="replace")
        for folder in ("mmcicd_jenkins", "templates", "tests/live_jenkins", "tests/real")
        for p in (ROOT / folder).rglob("*")
        if p.suffix in {".py", ".j2"}
    )
    known = set(re.findall(r"MMCICD_[A-Z_]*[A-Z]", source))
    named = [(p.name, name) for p in PAGES for name in set(re.findall(r"MMCICD_[A-Z_]*[A-Z]", p.text))]

    def check(name):
        # A variable of one environment holds its name.
        assert re.sub("_(STAGING|PRODUCTION)_", "_NAME_", name) in known, "nothing reads or sets it"

    check_all(check, named)


def test_links_lead_somewhere():
    named = [
        (f"{p.name}:{line}", (p, target)) for p in PAGES for line, target in p.links() if "://" not in target
    ]

    def check(link):
        from_page, target = link
        path, _, fragment = target.partition("#")
        file = (from_page.path.parent / path).resolve() if path else from_page.path
        assert file.exists(), f"{target} does not exist"
        if fragment:
            anchors = next(p for p in PAGES if p.path == file).anchors
            assert fragment in anchors, f"{path} has no heading #{fragment}"

    check_all(check, named)


def test_every_page_is_reached_from_the_index():
    seen, waiting = set(), [ROOT / "README.md", DOCS / "index.md"]
    while waiting:
        file = waiting.pop()
        if file in seen or file.suffix != ".md":
            continue
        seen.add(file)
        links = [target.partition("#")[0] for _, target in page(file.relative_to(ROOT).as_posix()).links()]
        waiting += [(file.parent / path).resolve() for path in links if path and "://" not in path]

    assert {p.path for p in PAGES if DOCS in p.path.parents} <= seen


@pytest.mark.parametrize("name", ["cli.md", "config.md"])
def test_reference_pages_are_up_to_date(name):
    assert (DOCS / "reference" / name).read_text() == reference_pages()[name], "run: make docs"


def test_dependencies_are_listed_with_their_reason():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = setup["options"]["install_requires"] + "\n".join(setup["options.extras_require"].values())
    names = {re.split(r"[ \[<>=]", line.strip())[0] for line in wanted.splitlines() if line.strip()}
    listed = re.findall(r"^\| `([^`]+)`", page("docs/decisions/dependencies.md").text, re.MULTILINE)

    assert sorted(listed) == sorted(names)


def test_messages_in_troubleshooting_are_those_of_the_program():
    """Fixed parts of quoted messages stand in the source; `…` stands for what varies."""
    said = [
        node.value
        for file in (ROOT / "mmcicd_jenkins").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    quoted = re.findall(r"^### `(.+)`$", page("docs/howto/troubleshooting.md").text, re.MULTILINE)

    def check(message):
        # The source names these two files by a constant.
        pieces = re.split("…|mmcicd.yaml|mmcicd.lock", message)
        for part in filter(None, (piece.strip(" :,") for piece in pieces)):
            assert any(part in text for text in said), f"nothing says {part!r}"

    assert quoted
    check_all(check, [("docs/howto/troubleshooting.md", message) for message in quoted])


def test_the_drawing_of_the_floors_is_the_house():
    text = page("docs/tour/01-floors.md")
    drawing = next(f.text for f in text.fences if f.language == "text")
    floors = {
        room: number
        for number, line in enumerate(drawing.splitlines())
        for room in re.findall(r"\[ (\w+) \]", line)
    }
    edges = set(imports_between_rooms())
    rooms = {room for edge in edges for room in edge}
    beside = set(re.findall(r"`(\w+)` may look at `(\w+)`", text.text))

    assert rooms == set(floors)
    wrong = {(a, b) for a, b in edges if floors[a] >= floors[b]}
    assert wrong == beside
    described = set(re.findall(r"^\*\*`(\w+)`\*\*", text.text, re.MULTILINE))
    assert described == rooms


def imports_between_rooms():
    outside = {"__init__", "__main__", "training", "templates"}
    for file in (ROOT / "mmcicd_jenkins").rglob("*.py"):
        own = file.relative_to(ROOT / "mmcicd_jenkins").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("mmcicd_jenkins"):
                continue
            parts = node.module.split(".")
            others = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
            yield from (
                (own, other) for other in others if own not in outside and other not in {own, *outside}
            )
