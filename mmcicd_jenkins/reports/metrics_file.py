"""Reads the `metrics.json` that a team's own evaluate command writes.

    {"metrics": {"accuracy": 0.93}, "samples": 5000,
     "slices": {"country": {"BR": {"accuracy": 0.9, "samples": 400}}}}

or flat: `{"accuracy": 0.93, "samples": 5000}`. Values are numbers; NaN and infinity are kept, because gates must
see them and not pass. Without `samples` the count is 0 and no gate can pass: say how much evidence there is.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.measures import Measure, Measures

LARGEST_BYTES = 5_000_000
FIX = 'let the evaluate command write {"metrics": {"accuracy": 0.93}, "samples": 5000}'
MOST_SAMPLES = 2**53


def read_metrics_file(path: Path) -> Measures:
    """The measures in `path`.

    Raises:
        InputError: the file is missing, too large, not JSON, repeats a name or holds something else than numbers.
    """
    return _Reader(str(path)).measures(_load(path))


def _load(path: Path) -> object:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError as e:
        fix = "let the evaluate command write metrics.json there"
        raise InputError("the evaluate command left no metrics.json", where=str(path), fix=fix) from e
    except OSError as e:
        raise InputError(
            "metrics.json cannot be read", where=str(path), why=e.strerror or str(e), fix=FIX
        ) from e
    if len(text) > LARGEST_BYTES:
        raise InputError(
            "metrics.json is larger than 5 MB", where=str(path), fix="write metrics, not predictions"
        )
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as e:
        where = f"{path}:{e.lineno}:{e.colno}"
        raise InputError("metrics.json is not JSON", where=where, why=e.msg, fix=FIX) from e
    except RecursionError as e:
        raise InputError("metrics.json is nested too deeply", where=str(path), fix=FIX) from e
    except (UnicodeDecodeError, ValueError) as e:
        why = "a number has too many digits" if "int_max_str_digits" in str(e) else str(e)[:300]
        raise InputError("metrics.json cannot be read", where=str(path), why=why, fix=FIX) from e


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands there twice")
        found[name] = value
    return found


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file

    def measures(self, document: object) -> Measures:
        top = self._object(document, "the file")
        if "metrics" not in top:
            return Measures(overall=self._metrics(top, "the file"))
        unknown = sorted(set(top) - {"metrics", "samples", "slices"})
        if unknown:
            raise self._wrong(f"unknown key {unknown[0]!r} beside metrics, samples and slices")
        samples = self._samples(top, "the file")
        overall = self._metrics(self._object(top["metrics"], "metrics"), "metrics", samples)
        slices: dict[str, Mapping[str, Mapping[str, Measure]]] = {}
        for column, values in self._object(top.get("slices", {}), "slices").items():
            where = f"slices.{column}"
            slices[column] = {
                value: self._metrics(self._object(metrics, f"{where}.{value}"), f"{where}.{value}")
                for value, metrics in self._object(values, where).items()
            }
        return Measures(overall=overall, slices=slices)

    def _metrics(self, values: Mapping[str, Any], where: str, samples: int = 0) -> dict[str, Measure]:
        count = self._samples(values, where) if "samples" in values else samples
        found = {
            name: Measure(value=self._number(value, f"{where}.{name}"), samples=count)
            for name, value in values.items()
            if name != "samples"
        }
        if not found:
            raise self._wrong(f"{where} holds no metric")
        return found

    def _samples(self, values: Mapping[str, Any], where: str) -> int:
        count = values.get("samples", 0)
        number = self._number(count, f"{where}.samples")
        if not 0 <= number <= MOST_SAMPLES or not number.is_integer():
            raise self._wrong(f"{where}.samples is {count}, expected a whole number of rows")
        return int(number)

    def _number(self, value: object, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            kind = "null" if value is None else "a truth" if isinstance(value, bool) else type(value).__name__
            raise self._wrong(f"{where} is {kind}, expected a number")
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf

    def _object(self, value: object, where: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(f"{where} is not an object of names and numbers")
        return value

    def _wrong(self, why: str) -> InputError:
        return InputError("metrics.json is not in the expected form", where=self.file, why=why[:300], fix=FIX)
