"""What a column of a table holds, learnt from its values as they stream by; constant memory.

Values come as text in chunks, because a file of text has no types: a column is `integer` until a value
says otherwise, then `number`, then `text`.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from mmcicd_jenkins.ports import Column, SourceFacts

# More distinct texts than this are an identifier or prose, not a set of choices.
FEW_VALUES = 50
# More labels than this are a quantity (regression), whose counts tell nothing.
MOST_LABELS = 1000
# A longer text is no choice; keeping it would only fill the lock.
LONGEST_VALUE = 100
# What numeric columns of data in the wild hold where a number is missing. In a column of text they are texts: NA is Namibia.
NOT_A_NUMBER = frozenset({"NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?"})
_KINDS = ("integer", "number", "text")


class ColumnStats:
    """Statistics of one column."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind = "integer"
        self._empty = 0
        self._marked = 0
        self._seen = 0
        self._low = math.inf
        self._high = -math.inf
        self._distinct: set[str] | None = set()

    def take(self, values: Sequence[str]) -> None:
        """Add a chunk of values; "" is missing."""
        if self._distinct is not None:
            self._distinct.update(values)
            if len(self._distinct) > FEW_VALUES + len(NOT_A_NUMBER) + 1 or any(
                len(value) > LONGEST_VALUE for value in self._distinct
            ):
                self._distinct = None
        self._empty += values.count("")
        if self.kind == "text":
            return
        present = [value for value in values if value and value not in NOT_A_NUMBER]
        self._marked += len(values) - len(present) - values.count("")
        self._seen += len(present)
        numbers = self._numbers(present)
        if numbers:
            self._low = min((self._low, *numbers))
            self._high = max((self._high, *numbers))

    def _numbers(self, present: Sequence[str]) -> Sequence[float]:
        # Python reads 1_000 as a number; nobody who reads the file later does.
        if any("_" in value for value in present):
            self.kind = "text"
            return ()
        if self.kind == "integer":
            try:
                return list(map(int, present))
            except ValueError:
                self.kind = "number"
        try:
            numbers = list(map(float, present))
        except ValueError:
            self.kind = "text"
            return ()
        finite = [number for number in numbers if math.isfinite(number)]
        self._marked += len(numbers) - len(finite)
        return finite

    def column(self) -> Column:
        if self.kind == "text" or self._seen == 0:
            few = sorted(self._distinct - {""}) if self._distinct is not None else []
            values = tuple(few) if len(few) <= FEW_VALUES else ()
            return Column(name=self.name, kind="text", missing=self._empty, values=values)
        missing = self._empty + self._marked
        if self._low > self._high:
            return Column(name=self.name, kind=self.kind, missing=missing)
        return Column(
            name=self.name, kind=self.kind, missing=missing, low=_plain(self._low), high=_plain(self._high)
        )


def _plain(number: float) -> float:
    """A number that every JSON reader keeps; one beyond a double has lost its digits anyway."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(1.7976931348623157e308, number)


class LabelCounts:
    """How often each label occurs; forgotten when there are too many to be classes."""

    def __init__(self) -> None:
        self._counts: Counter[str] | None = Counter()

    def take(self, values: Sequence[str]) -> None:
        if self._counts is not None:
            self._counts.update(values)
            if len(self._counts) > MOST_LABELS:
                self._counts = None

    def counts(self) -> Mapping[str, int]:
        return {label: count for label, count in sorted((self._counts or {}).items()) if label}


class TableStats:
    """All columns of a table and its label."""

    # Columns are taken chunk by chunk: a few thousand rows are fast and small.
    CHUNK_ROWS = 4096

    def __init__(self, names: Sequence[str], label: str) -> None:
        self.rows = 0
        self.columns = {name: ColumnStats(name) for name in names}
        self._label = label
        self._labels = LabelCounts()

    def add_column(self, name: str) -> None:
        """A column that earlier rows did not have: it is missing in them."""
        self.columns[name] = ColumnStats(name)
        self.columns[name].take([""] * self.rows)

    def take(self, chunk: Mapping[str, Sequence[str]], rows: int) -> None:
        """Add `rows` rows, given as columns."""
        for name, values in chunk.items():
            self.columns[name].take(values)
        if self._label in chunk:
            self._labels.take(chunk[self._label])
        self.rows += rows

    def facts(self, digest: str, size: int, version: str) -> SourceFacts:
        return SourceFacts(
            digest=digest,
            size=size,
            files=1,
            rows=self.rows,
            columns=tuple(stats.column() for stats in self.columns.values()),
            version=version,
            label_counts=self._labels.counts(),
        )
