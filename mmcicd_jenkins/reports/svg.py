"""A small SVG writer: axes, lines, dots, bars, cells, text. Presentation attributes only.

An image in a report must draw itself alike under any Content-Security-Policy, on paper and offline: no style
element or attribute, no script, no font or file from elsewhere. Everything written passes ElementTree's escaping.
"""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.reports.words import clean

INK, MUTED, GRID, PAPER = "#1d2939", "#667085", "#e4e7ec", "#ffffff"
# Okabe and Ito's palette: told apart with every kind of colour vision.
PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f5539", "#4c4c9d", "#8a9a2b", "#444444",
)  # fmt: skip
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_LETTER = 6.6  # the mean width of a letter at size 11 to 12

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A linear scale. `ticks` are places with their text."""

    low: float
    high: float
    label: str
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def share_axis(label: str) -> Axis:
    """From 0 to 1."""
    return Axis(low=0.0, high=1.0, label=label, ticks=tuple((i / 5, f"{i / 5:.1f}") for i in range(6)))


def axis_over(values: Iterable[float], label: str, *, count: int = 5) -> Axis:
    """Round ticks around the finite ones of `values`."""
    finite = [v for v in values if math.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if high - low <= abs(high) * 1e-9:
        low, high = low - max(abs(low) * 0.1, 0.5), high + max(abs(high) * 0.1, 0.5)
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    places = [i * step for i in range(first, last + 1)]
    digits = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if step / power == 2.5 else 0))
    texts = [_tick(place, digits) for place in places]
    return Axis(low=places[0], high=places[-1], label=label, ticks=tuple(zip(places, texts, strict=True)))


def _tick(value: float, digits: int) -> str:
    if value and (abs(value) >= 1e6 or abs(value) < 1e-4):
        return f"{value:.3g}"
    return f"{value:,.{min(digits, 6)}f}"


class Drawing:
    """One image. Coordinates are pixels from the top left."""

    def __init__(self, width: float, height: float, title: str) -> None:
        box = f"0 0 {_n(width)} {_n(height)}"
        self.root = ET.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": box,
                "width": _n(width),
                "height": _n(height),
                "role": "img",
                "font-family": _FONT,
            },
        )
        ET.SubElement(self.root, "title").text = clean(title)
        self.rect(0, 0, width, height, PAPER)

    def rect(self, x: float, y: float, width: float, height: float, fill: str, *, radius: float = 0) -> None:
        shape = {"x": _n(x), "y": _n(y), "width": _n(width), "height": _n(height), "fill": fill}
        self._add("rect", shape | ({"rx": _n(radius)} if radius else {}))

    def line(self, start: Point, end: Point, stroke: str, *, width: float = 1, dash: str = "") -> None:
        self.path([start, end], stroke, width=width, dash=dash)

    def path(self, points: Sequence[Point], stroke: str, *, width: float = 2, dash: str = "") -> None:
        if not points:
            return
        shape = {
            "points": " ".join(f"{_n(x)},{_n(y)}" for x, y in points),
            "fill": "none",
            "stroke": stroke,
            "stroke-width": _n(width),
            "stroke-linejoin": "round",
            "stroke-linecap": "butt" if dash else "round",
        }
        self._add("polyline", shape | ({"stroke-dasharray": dash} if dash else {}))

    def dot(
        self, at: Point, fill: str, *, radius: float = 3.5, stroke: str = PAPER, opacity: float = 1
    ) -> None:
        shape = {"cx": _n(at[0]), "cy": _n(at[1]), "r": _n(radius), "fill": fill, "stroke": stroke}
        self._add("circle", shape | {"stroke-width": "1.5", "fill-opacity": _n(opacity)})

    def text(
        self,
        at: Point,
        text: str,
        *,
        size: float = 12,
        fill: str = MUTED,
        anchor: str = "start",
        bold: bool = False,
        turn: float = 0,
    ) -> None:
        shape = {"x": _n(at[0]), "y": _n(at[1]), "font-size": _n(size), "fill": fill, "text-anchor": anchor}
        if bold:
            shape["font-weight"] = "600"
        if turn:
            shape["transform"] = f"rotate({_n(turn)} {_n(at[0])} {_n(at[1])})"
        self._add("text", shape).text = clean(text)

    def to_bytes(self) -> bytes:
        document: bytes = ET.tostring(self.root, encoding="utf-8", xml_declaration=True)
        return document + b"\n"

    def _add(self, tag: str, attributes: dict[str, str]) -> ET.Element:
        return ET.SubElement(self.root, tag, attributes)


class Plot:
    """A drawing with two axes, a grid and a legend of `legend_lines` lines above."""

    def __init__(
        self, title: str, x: Axis, y: Axis, *, width: float = 480, height: float = 360, legend_lines: int = 1
    ) -> None:
        self.drawing = Drawing(width, height, title)
        self.x, self.y = x, y
        widest = max((len(text) for _, text in y.ticks), default=0)
        last = len(x.ticks[-1][1]) if x.ticks else 0
        self.left, self.right = 32.0 + max(4, widest) * _LETTER, width - max(18.0, last * _LETTER / 2)
        self.top, self.bottom = 44.0 + 18 * legend_lines, height - 50.0
        self._legend_bottom = self.top
        self.drawing.text((16, 24), title, size=15, fill=INK, bold=True)
        self._axes()
        self._legend_at = (16.0, 44.0)

    def at(self, x: float, y: float) -> Point:
        """Where a point of the data lies; a point outside the axes is moved to their edge."""
        across = min(1.0, max(0.0, self.x.share(x)))
        up = min(1.0, max(0.0, self.y.share(y)))
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)

    def series(self, name: str, points: Sequence[Point], colour: str, *, dash: str = "") -> None:
        """A line with its entry in the legend; a gap wherever a value is not finite."""
        stretch: list[Point] = []
        for x, y in [*points, (math.nan, math.nan)]:
            if math.isfinite(x) and math.isfinite(y):
                stretch.append(self.at(x, y))
            elif len(stretch) == 1:
                self.drawing.dot(stretch[0], colour)
                stretch = []
            else:
                self.drawing.path(stretch, colour, dash=dash)
                stretch = []
        self.legend(name, colour, dash=dash)

    def legend(self, name: str, colour: str, *, dash: str = "") -> None:
        x, y = self._legend_at
        if x + 24 + _LETTER * len(name) > self.right + 12:
            x, y = 16.0, y + 18
        if not name or y >= self._legend_bottom:
            return
        self.drawing.line((x, y), (x + 18, y), colour, width=2.5, dash=dash)
        self.drawing.text((x + 24, y + 4), name, size=12)
        self._legend_at = (x + 40 + _LETTER * len(name), y)

    def _axes(self) -> None:
        for value, text in self.x.ticks:
            x, _ = self.at(value, self.y.low)
            self.drawing.line((x, self.top), (x, self.bottom), GRID)
            self.drawing.text((x, self.bottom + 18), text, size=11, anchor="middle")
        for value, text in self.y.ticks:
            _, y = self.at(self.x.low, value)
            self.drawing.line((self.left, y), (self.right, y), GRID)
            self.drawing.text((self.left - 8, y + 4), text, size=11, anchor="end")
        self.drawing.line((self.left, self.bottom), (self.right, self.bottom), MUTED)
        self.drawing.text(
            ((self.left + self.right) / 2, self.bottom + 38), self.x.label, size=12, anchor="middle"
        )
        middle = (self.top + self.bottom) / 2
        self.drawing.text((16, middle), self.y.label, size=12, anchor="middle", turn=-90)


def _n(value: float) -> str:
    """At most two decimals, no trailing zeros: the same bytes everywhere."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
