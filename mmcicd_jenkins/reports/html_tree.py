"""HTML as a tree, made with ElementTree: whatever a value holds is text or an attribute, never markup."""

import xml.etree.ElementTree as ET

Piece = ET.Element | str


def document(title: str, *body: ET.Element) -> str:
    """A whole page that shows alike under any Content-Security-Policy: a style sheet beside it, and nothing else."""
    head = block(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("link", rel="stylesheet", href="report.css"),
    )
    whole = block("html", head, block("body", *body), lang="en")
    return "<!doctype html>\n" + ET.tostring(whole, encoding="unicode", method="html") + "\n"


def tag(name: str, /, *inside: Piece, **attributes: str) -> ET.Element:
    """An element with texts and elements in it. `class_` is the attribute class; what is empty is left out."""
    given = {key.rstrip("_"): value for key, value in attributes.items() if value}
    element = ET.Element(name, given)
    for piece in inside:
        if not isinstance(piece, str):
            element.append(piece)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + piece
        else:
            element.text = (element.text or "") + piece
    return element


def block(name: str, /, *inside: ET.Element, **attributes: str) -> ET.Element:
    """An element whose parts stand on lines of their own."""
    return tag(name, "\n", *(piece for element in inside for piece in (element, "\n")), **attributes)
