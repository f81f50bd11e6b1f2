"""The report for a pull request, in GitHub's Markdown. Every value is escaped: names come from data and branches."""

from collections.abc import Iterable, Sequence

from mmcicd_jenkins.reports.page import Page

_SIGNS = {"passed": "✅", "refused": "❌", "inconclusive": "❔", "not counted": "⏸"}
# What stays (a dot, a hyphen, brackets) is no markup inside a line, and the raw text remains readable.
_MARKUP = str.maketrans(
    {character: f"&#{ord(character)};" for character in "\\`*_{}[]<>#!|~&^$"}
    | {"@": "@\N{ZERO WIDTH SPACE}", "\n": " ", "\t": " "}
)
MOST_GATES = 50  # GitHub refuses a comment beyond 65,536 characters
MOST_SLICES = 5
MOST_ROWS = 20


def to_markdown(page: Page) -> str:
    """Verdict and gates first; numbers and slices folded away below."""
    parts = [
        f"### {escaped(page.model)}: {_SIGNS[page.verdict]} {page.verdict}",
        escaped(page.reason),
        *(f"> {escaped(warning)}" for warning in page.warnings),
    ]
    if page.gates:
        rows = [
            [f"{_SIGNS[g.word]} {g.word}", _rule(g.rule, g.slice), g.sentence]
            for g in page.gates[:MOST_GATES]
        ]
        parts.append(table(("Verdict", "Rule", "In words"), rows))
    parts.append(_folded("Numbers", _numbers(page)))
    parts += [
        _folded(f"By {s.column}", table((s.column, "rows", *s.metrics), _slice_rows(s.rows[:MOST_ROWS])))
        for s in page.slices[:MOST_SLICES]
    ]
    parts.append(_folded("Where it comes from", table(("What", "Value"), page.lineage)))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """`text` so that no character of it is markup: entities, and a mention that mentions nobody."""
    return text.translate(_MARKUP)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_line(head), "|" + "---|" * len(head)]
    lines += [_line(row) for row in rows]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def _rule(rule: str, place: str) -> str:
    return f"{rule} ({place})" if place else rule


def _numbers(page: Page) -> str:
    if not page.has_champion:
        rows = [[n.metric, n.value + n.bound, n.samples] for n in page.numbers]
        return table(("Metric", "This model", "Rows"), rows)
    compared = [[n.metric, n.value + n.bound, n.champion, n.change, n.samples] for n in page.numbers]
    return table(("Metric", "This model", "Champion", "Change", "Rows"), compared)


def _slice_rows(rows: Iterable[object]) -> list[list[str]]:
    found = []
    for row in rows:
        name, samples, cells = row.name, row.samples, row.cells  # type: ignore[attr-defined]
        found.append([name, samples, *(f"{c.value} ({c.change})" if c.change else c.value for c in cells)])
    return found


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{escaped(title)}</summary>\n\n{body}\n\n</details>"
