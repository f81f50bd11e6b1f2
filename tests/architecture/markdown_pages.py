"""Markdown pages of the repository as the tests of the documentation see them: fences, inline code, links, headings."""

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT_OUT = {"build", "dist", "node_modules", "site"}

_FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_PROGRAMS = {"mmcicd-jenkins", "./mmcicdw", "mmcicdw"}


@dataclass(frozen=True)
class Fence:
    """A fenced block. `line` is where its first line stands in the page."""

    page: "Page"
    language: str
    line: int
    text: str

    @property
    def place(self):
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def name(self):
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self):
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def fences(self):
        return [
            Fence(
                self, m.group(2), self.text[: m.start(3)].count("\n") + 1, _dedented(m.group(3), m.group(1))
            )
            for m in _FENCE.finditer(self.text)
        ]

    @cached_property
    def prose(self):
        """The text with every fence blanked, so that lines keep their numbers."""
        return _FENCE.sub(lambda m: "\n" * m.group(0).count("\n"), self.text)

    def codes(self):
        """(line, code) of every piece of inline code."""
        for number, line in enumerate(self.prose.splitlines(), 1):
            for match in _CODE.finditer(line):
                # In a table a vertical bar is written with a backslash.
                yield number, match.group(1).replace("\\|", "|")

    def links(self):
        for number, line in enumerate(self.prose.splitlines(), 1):
            for match in _LINK.finditer(_CODE.sub("", line)):
                yield number, match.group(1)

    @cached_property
    def anchors(self):
        """The fragments that the usual renderers make of the headings."""
        titles = [re.sub(r"[^\w\- ]", "", t.replace("`", "").lower()) for t in _HEADING.findall(self.prose)]
        return {title.strip().replace(" ", "-") for title in titles}

    def shell_lines(self):
        """(line, text) of what a reader is told to type: console prompts, sh blocks, inline calls of ours."""
        for fence in self.fences:
            for offset, line in enumerate(_joined(fence.text)):
                if fence.language == "console" and line.startswith("$ "):
                    yield fence.line + offset, line[2:]
                elif fence.language == "sh" and not line.lstrip().startswith("#"):
                    yield fence.line + offset, line
        for number, code in self.codes():
            if code.split(" ")[0] in {*_PROGRAMS, "make"} and " " in code:
                yield number, code


def page(name):
    return Page(ROOT / name)


def fences(*languages):
    return [fence for p in pages() for fence in p.fences if fence.language in languages]


def pages():
    """Every Markdown file of the repository, generated environments and build folders left out."""
    found = [p for p in ROOT.rglob("*.md") if not _is_left_out(p.relative_to(ROOT))]
    return [Page(path) for path in sorted(found)]


def _is_left_out(path):
    return any(part in LEFT_OUT or (part.startswith(".") and part != ".ci") for part in path.parts[:-1])


def _dedented(text, indent):
    return "\n".join(line.removeprefix(indent) for line in text.splitlines())


def _joined(text):
    """Lines, with those that end in a backslash continued."""
    return re.sub(r"\\\n\s*", " ", text).splitlines()


def simple_commands(line):
    """The commands of a shell line, each as words; redirections and assignments left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    command, skip = [], False
    for word in lexer:
        if skip:
            skip = False
        elif set(word) <= set("<>") and word:
            skip = True
        elif set(word) <= set("&|;()"):
            yield command
            command = []
        elif command or not re.fullmatch(r"[A-Z_]+=.*", word):
            command.append(word)
    yield command


def our_calls(line):
    """The arguments of each call of our program in a shell line."""
    for words in simple_commands(line):
        if words[:1] and words[0] in _PROGRAMS:
            yield words[1:]
        elif words[1:3] == ["-m", "mmcicd_jenkins"]:
            yield words[3:]
