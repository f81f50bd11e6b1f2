"""Declarative structure read from the tree: pipelines, their sections, stages inside stages. Pure, tells nothing.

What is wrong with the structure is for the rules; here a section that stands where none belongs is simply kept
under its name, and a stage without a readable name has the name "".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mmcicd_jenkins.lint.source import Source
from mmcicd_jenkins.lint.tokens import Comment, Lexed, Token, Trouble
from mmcicd_jenkins.lint.tree import Block, Call, Node, Span, calls, text_of

CONTAINERS = ("stages", "parallel")
BODIES = ("steps", "stages", "parallel", "matrix")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scope:
    """A block of sections: a pipeline, a stage or a matrix. `others` are statements that are no calls."""

    call: Call
    block: Block
    sections: Mapping[str, Sequence[Call]]
    others: Sequence[Node]

    def section(self, name: str) -> Call | None:
        found = self.sections.get(name)
        return found[0] if found else None

    def inside(self, name: str) -> Sequence[Node]:
        """The statements of a section's block."""
        call = self.section(name)
        return call.block.statements if call is not None and call.block is not None else ()

    def entries(self, name: str) -> Sequence[Call]:
        """The calls that stand directly in a section."""
        return [node for node in self.inside(name) if isinstance(node, Call)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage(Scope):
    """`inside_of` is the section that holds it; `parents` lead from the outermost stage to the next one."""

    name: str
    inside_of: str
    parents: "Sequence[Stage]"
    children: "list[Stage]" = field(default_factory=list)

    @property
    def bodies(self) -> Sequence[str]:
        return [name for name in BODIES if name in self.sections]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pipeline(Scope):
    stages: Sequence[Stage]

    def every_stage(self) -> Iterator[Stage]:
        """All stages, in the order of the text."""
        waiting = list(reversed(self.stages))
        while waiting:
            stage = waiting.pop()
            yield stage
            waiting.extend(reversed(stage.children))

    def scopes(self) -> Iterator[Scope]:
        yield self
        yield from self.every_stage()


@dataclass(frozen=True, kw_only=True, eq=False)
class File:
    """A Jenkinsfile as rules see it."""

    source: Source
    tree: Block
    comments: Sequence[Comment]
    troubles: Sequence[Trouble]
    strings: Sequence[Span]
    pipelines: Sequence[Pipeline]

    @property
    def stages(self) -> Iterator[Stage]:
        return (stage for pipeline in self.pipelines for stage in pipeline.every_stage())

    @property
    def scopes(self) -> Iterator[Scope]:
        return (scope for pipeline in self.pipelines for scope in pipeline.scopes())


def read_file(source: Source, tree: Block, lexed: Lexed) -> File:
    found = [node for node in tree.statements if isinstance(node, Call) and is_pipeline(node)]
    return File(
        source=source,
        tree=tree,
        comments=lexed.comments,
        troubles=lexed.troubles,
        strings=[_inner(token) for token in lexed.tokens if token.kind == "string"],
        pipelines=[_pipeline(call) for call in found],
    )


def _inner(token: Token) -> Span:
    """What stands between the quotes; a quote that is itself an escape does not."""
    return Span(token.start + len(token.quote), token.end - len(token.quote))


def is_pipeline(call: Call) -> bool:
    return call.name == "pipeline" and call.target is None and call.block is not None


def _pipeline(call: Call) -> Pipeline:
    block, sections, others = _parts(call)
    stages = [stage for section in sections.get("stages", ()) for stage in _stages(section, ())]
    return Pipeline(call=call, block=block, sections=sections, others=others, stages=stages)


def _parts(call: Call) -> tuple[Block, dict[str, list[Call]], list[Node]]:
    block = call.block or Block(start=call.start, end=call.end, statements=())
    sections: dict[str, list[Call]] = {}
    others: list[Node] = []
    for statement in block.statements:
        if isinstance(statement, Call) and statement.target is None and statement.name:
            sections.setdefault(statement.name, []).append(statement)
        else:
            others.append(statement)
    return block, sections, others


def _stages(section: Call, parents: Sequence[Stage]) -> Iterator[Stage]:
    for call in section.block.statements if section.block else ():
        if isinstance(call, Call) and call.name == "stage" and call.target is None:
            yield _stage(call, section.name, parents)


def _stage(call: Call, inside_of: str, parents: Sequence[Stage]) -> Stage:
    block, sections, others = _parts(call)
    stage = Stage(
        call=call,
        block=block,
        sections=sections,
        others=others,
        name=text_of(call.value("name")) or "",
        inside_of=inside_of,
        parents=parents,
    )
    for name in CONTAINERS:
        for section in sections.get(name, ()):
            stage.children.extend(_stages(section, (*parents, stage)))
    for matrix in sections.get("matrix", ()):
        for section in _parts(matrix)[1].get("stages", ()):
            stage.children.extend(_stages(section, (*parents, stage)))
    return stage


def matrices(stage: Stage) -> Iterator[Scope]:
    """The matrix sections of a stage, each with its own sections."""
    for call in stage.sections.get("matrix", ()):
        block, sections, others = _parts(call)
        yield Scope(call=call, block=block, sections=sections, others=others)


def step_blocks(scope: Scope) -> Iterator[Block]:
    """Where steps stand: `steps`, and each condition of `post`."""
    for call in scope.sections.get("steps", ()):
        if call.block is not None:
            yield call.block
    for condition in scope.entries("post"):
        if condition.block is not None:
            yield condition.block


def scripted_calls(file: File) -> Iterator[Call]:
    """Every call of the file, wherever it is."""
    return calls(file.tree)
