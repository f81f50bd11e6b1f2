"""The page as HTML, built as a tree: whatever a value holds is text or an attribute, never markup.

Made like the images, with ElementTree, which is there anyway: a template library takes longer to load and to read
its templates than a small pipeline takes for all its work. Layout only; what is said is decided in `page`.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from mmcicd_jenkins.reports.charts import Figure
from mmcicd_jenkins.reports.gate_words import GateLine
from mmcicd_jenkins.reports.html_tree import Piece, block, document, tag
from mmcicd_jenkins.reports.page import Number, Page, Row, Slice

_WIDE = 520


def to_html(page: Page) -> str:
    """The whole document."""
    footer = tag("footer", "Written by mmcicd-jenkins. Numbers without a bound are exact.")
    return document(f"{page.model}: {page.verdict}", _header(page), block("main", *_sections(page)), footer)


def _header(page: Page) -> ET.Element:
    kind = f"Evaluation of a {page.problem} model" if page.problem else "Evaluation"
    title = tag("h1", page.model, " ", tag("span", page.verdict, class_=f"verdict {page.verdict}"))
    parts = [tag("p", kind, class_="kind"), title, tag("p", page.reason, class_="reason")]
    if page.tiles:
        parts.append(block("ul", *map(_tile, page.tiles), class_="tiles"))
    parts += [tag("p", warning, class_="warning") for warning in page.warnings]
    return block("header", block("div", *parts, class_="head-inner"))


def _tile(row: Number) -> ET.Element:
    name, value = tag("span", row.metric, class_="name"), tag("span", row.value, class_="value")
    change: list[Piece] = (
        [" ", tag("span", row.change, class_=f"change {row.direction}".rstrip())] if row.change else []
    )
    return tag("li", name, " ", value, *change)


def _sections(page: Page) -> Iterable[ET.Element]:
    yield _section("Gates", tag("p", page.compared, class_="note"), *_gates(page.gates))
    yield _section("Numbers", _numbers(page))
    if page.figures:
        details = [*_confusion(page.confusion), *_classes(page.per_class)]
        yield _section("What the scores look like", _figures(page.figures), *details)
    if page.slices:
        note = "The same numbers on parts of the test data, the weakest part first."
        parts = [part for found in page.slices for part in _slice(found)]
        yield _section("Slices", tag("p", note, class_="note"), *parts)
    if page.curves:
        yield _section("Training", _figures(page.curves))
    pairs = [part for label, text in page.lineage for part in (tag("dt", label), tag("dd", text))]
    yield _section("Where it comes from", block("dl", *pairs), *_packages(page.packages))


def _section(title: str, *parts: ET.Element) -> ET.Element:
    return block("section", tag("h2", title), *parts)


def _table(
    head: Iterable[ET.Element], rows: Iterable[ET.Element], caption: str = "", kind: str = ""
) -> ET.Element:
    named = [tag("caption", caption)] if caption else []
    parts = [*named, tag("thead", tag("tr", *head)), block("tbody", *rows)]
    return block("div", block("table", *parts, class_=kind), class_="scroll")


def _head(*names: str) -> list[ET.Element]:
    """The first column has words, the others numbers."""
    return [
        tag("th", name, scope="col", class_="num" if position else "") for position, name in enumerate(names)
    ]


def _number(text: str, direction: str = "") -> ET.Element:
    return tag("td", text, class_=f"num {direction}".rstrip())


def _row(name: str, *cells: ET.Element) -> ET.Element:
    return tag("tr", tag("th", name, scope="row"), *cells)


def _gates(gates: Iterable[GateLine]) -> Iterable[ET.Element]:
    rows = [_gate(gate) for gate in gates]
    if rows:
        words = [tag("th", name, scope="col") for name in ("Verdict", "Rule", "In words")]
        numbers = [tag("th", name, scope="col", class_="num") for name in ("Value", "Limit", "Champion")]
        yield _table([*words[:2], *numbers, words[2]], rows, kind="gates")


def _gate(gate: GateLine) -> ET.Element:
    word = tag("span", gate.word, class_=f"verdict {gate.word.replace(' ', '-')}")
    where = f" for {gate.slice}" if gate.slice else ""
    rule = tag("th", tag("code", gate.rule), where, scope="row")
    numbers = [_number(text) for text in (gate.value, gate.limit, gate.champion)]
    return tag("tr", tag("td", word), rule, *numbers, tag("td", gate.sentence, class_="words"))


def _numbers(page: Page) -> ET.Element:
    compared = ("Champion", "Change") if page.has_champion else ()
    rows = []
    for number in page.numbers:
        champion = [_number(number.champion), _number(number.change, number.direction)]
        beside = champion if page.has_champion else []
        mine = _number(number.value + number.bound)
        rows.append(_row(number.metric, mine, *beside, _number(number.samples)))
    return _table(_head("Metric", "This model", *compared, "Rows"), rows, page.numbers_caption)


def _figures(figures: Iterable[Figure]) -> ET.Element:
    return block("div", *map(_figure, figures), class_="figures")


def _figure(figure: Figure) -> ET.Element:
    size = {"width": str(figure.width), "height": str(figure.height)}
    image = tag("img", src=f"report/{figure.name}", alt=figure.alt, **size)
    caption = [tag("figcaption", figure.caption)] if figure.caption else []
    return block("figure", image, *caption, class_="wide" if figure.width > _WIDE else "")


def _confusion(matrix: tuple[Row, ...]) -> Iterable[ET.Element]:
    """As a table too, for those who cannot see the image or want to copy it."""
    if matrix:
        rows = [_row(row.name, *map(_number, row.cells)) for row in matrix[1:]]
        table = _table(
            _head("Actual", *matrix[0].cells), rows, "Rows: actual class. Columns: predicted class."
        )
        yield block("details", tag("summary", "Confusion matrix as a table"), table)


def _classes(classes: tuple[Row, ...]) -> Iterable[ET.Element]:
    if classes:
        yield tag("h3", "By class")
        head = _head("Class", "Rows", "Precision", "Recall", "F1", "ROC AUC")
        rows = [_row(row.name, *map(_number, row.cells)) for row in classes]
        yield _table(head, rows, "One class against all others.")


def _slice(found: Slice) -> Iterable[ET.Element]:
    yield tag("h3", f"By {found.column}")
    if found.figure:
        yield _figure(found.figure)
    rows = [_row(row.name, _number(row.samples), *map(_changed, row.cells)) for row in found.rows]
    yield _table(_head(found.column, "Rows", *found.metrics), rows, found.caption)


def _changed(cell: Number) -> ET.Element:
    change: list[Piece] = [" ", tag("span", f"({cell.change})", class_=cell.direction)] if cell.change else []
    return tag("td", cell.value, *change, class_="num")


def _packages(packages: tuple[str, ...]) -> Iterable[ET.Element]:
    if packages:
        listed = block("ul", *(tag("li", package) for package in packages))
        yield block("details", tag("summary", f"{len(packages)} packages in the environment"), listed)
