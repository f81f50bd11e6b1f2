"""The numbers of two releases side by side, for `diff M@1 M@2`: data for the table on the terminal and in Markdown."""

import json
from collections.abc import Mapping

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.reports.markdown import escaped, table
from mmcicd_jenkins.reports.words import change, clean, direction, shown


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing of both releases as text. `change` is a number's distance, `direction` better, worse or ""."""

    name: str
    left: str
    right: str
    change: str = ""
    direction: str = ""

    @property
    def is_equal(self) -> bool:
        return self.left == self.right and not self.change.strip("±0")


@dataclass(frozen=True, kw_only=True)
class ReleaseDiff:
    """Metrics (all of them) and inputs (what differs), of `left` and `right`."""

    left: str
    right: str
    metrics: tuple[Difference, ...]
    inputs: tuple[Difference, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "left": self.left,
            "right": self.right,
            "metrics": [_plain(d) for d in self.metrics],
            "inputs": [_plain(d) for d in self.inputs],
        }


def diff_releases(left: Release, right: Release) -> ReleaseDiff:
    """What `right` does better or worse than `left`, and which inputs differ."""
    names = dict.fromkeys([*left.metrics, *right.metrics])
    metrics = tuple(_metric(n, left.metrics.get(n), right.metrics.get(n)) for n in names)
    mine, theirs = _inputs(left), _inputs(right)
    inputs = (
        Difference(name=clean(n), left=mine.get(n, "-"), right=theirs.get(n, "-"))
        for n in dict.fromkeys([*mine, *theirs])
    )
    return ReleaseDiff(
        left=f"{left.model}@{left.version}",
        right=f"{right.model}@{right.version}",
        metrics=metrics,
        inputs=tuple(d for d in inputs if not d.is_equal),
    )


def compare(left: Release, right: Release) -> tuple[tuple[str, str, str, str], ...]:
    """Rows for a terminal: name, left, right, change. All metrics, then the inputs that differ."""
    diff = diff_releases(left, right)
    return tuple((d.name, d.left, d.right, d.change) for d in (*diff.metrics, *diff.inputs))


def diff_markdown(diff: ReleaseDiff) -> str:
    """Two Markdown tables."""
    head = ("", diff.left, diff.right)
    numbers = table((*head, "change"), [[d.name, d.left, d.right, d.change] for d in diff.metrics])
    if not diff.inputs:
        return f"{numbers}\n\n{escaped('Same commit, data and parameters.')}\n"
    return f"{numbers}\n\n{table(head, [[d.name, d.left, d.right] for d in diff.inputs])}\n"


def _plain(difference: Difference) -> dict[str, str]:
    return {
        "name": difference.name,
        "left": difference.left,
        "right": difference.right,
        "change": difference.change,
        "direction": difference.direction,
    }


def _metric(name: str, left: float | None, right: float | None) -> Difference:
    return Difference(
        name=clean(name),
        left=shown(name, left),
        right=shown(name, right),
        change=change(name, right, left),
        direction=direction(name, right, left),
    )


def _inputs(release: Release) -> Mapping[str, str]:
    """Everything that made the release, as texts."""
    told = {
        "commit": release.commit,
        "branch": release.branch,
        "author": release.author,
        **{f"data {name}": digest for name, digest in release.data.items()},
        **{f"parameter {name}": _text(value) for name, value in release.parameters.items()},
        "model": release.model_digest,
        "model size": f"{release.model_size:,} bytes",
        "image": release.image_digest,
        "created": release.created,
    }
    return {name: clean(text) for name, text in told.items()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
