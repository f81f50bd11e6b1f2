"""Live traffic as a Prometheus has it: `ports.rollout.LiveMetrics`, and any instant query for whoever else asks.

Copies are told apart by the labels `namespace` and `pod` of their series, which the Prometheus operator and the usual
discovery of pods write. Nothing is asked for longer than `SECONDS`, and no answer is read beyond `LARGEST`.
"""

import json
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from mmcicd_jenkins.adapters.bounded_web import Bounds, Got, NoAnswerError, get
from mmcicd_jenkins.adapters.proxies import Proxies
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.serving_text import LATENCY, OK, REQUESTS, seconds_of
from mmcicd_jenkins.release.traffic import LiveCounters

TOKEN = "MMCICD_PROMETHEUS_TOKEN"  # noqa: S105 - the name of a variable
USER = "MMCICD_PROMETHEUS_USER"
PASSWORD = "MMCICD_PROMETHEUS_PASSWORD"  # noqa: S105 - the name of a variable
# A hundred copies with their histograms are less than one MiB.
LARGEST = 16 * 2**20
SECONDS = 15.0
_SHOWN = 256


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series of an instant vector."""

    labels: Mapping[str, str]
    value: float


class Prometheus:
    """One Prometheus, or what speaks its HTTP API.

    Args:
        url: its address, with a path where it lies below one.
        variables: where its login stands, and the proxies.
        seconds: how long one query may take.
    """

    def __init__(self, url: str, variables: Mapping[str, str], *, seconds: float = SECONDS) -> None:
        self._url = url.rstrip("/")
        self._headers = _login(variables)
        self._proxies = Proxies(variables)
        self._bounds = Bounds(seconds=seconds, bytes=LARGEST)
        self._where = _without_login(self._url)

    def query(self, expression: str) -> list[Series]:
        """The series of an instant query.

        Raises:
            OutsideFailed: no answer, or none that can be used.
        """
        url = f"{self._url}/api/v1/query?{urlencode({'query': expression})}"
        try:
            got = get(url, self._bounds, self._headers, self._proxies)
        except NoAnswerError as e:
            raise OutsideFailed(
                "Prometheus does not answer",
                where=self._where,
                why=e.why,
                fix="environments.ENVIRONMENT.monitor.prometheus names it; without that key pods are asked themselves",
                retryable=e.may_pass,
            ) from e
        if got.status != 200:
            raise self._refused(got)
        return self._series(got.body)

    def _refused(self, got: Got) -> OutsideFailed:
        if got.status in {401, 403}:
            return OutsideFailed(
                "Prometheus does not let us ask",
                where=self._where,
                why=f"status {got.status}",
                fix=f"a token in {TOKEN}, or {USER} and {PASSWORD}",
            )
        said = got.body[:_SHOWN].decode("utf-8", "replace").strip()
        return OutsideFailed(
            "Prometheus refuses the query",
            where=self._where,
            why=f"status {got.status}: {said}",
            retryable=got.status >= 500,
        )

    def _series(self, body: bytes) -> list[Series]:
        try:
            document = json.loads(body)
            result = document["data"]["result"]
            if document["status"] != "success" or document["data"]["resultType"] != "vector":
                raise ValueError(str(document.get("error", "no vector"))[:_SHOWN])  # noqa: TRY301 - as unreadable as the rest
            return [_one(entry) for entry in result]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
            raise OutsideFailed(
                "what answers is no Prometheus",
                where=self._where,
                why=f"its answer to a query cannot be read: {str(e)[:_SHOWN] or type(e).__name__}",
                fix="environments.ENVIRONMENT.monitor.prometheus is the address under which /api/v1/query answers",
            ) from e


def _one(entry: Mapping[str, Any]) -> Series:
    labels = {str(name): str(value) for name, value in entry["metric"].items()}
    return Series(labels=labels, value=float(entry["value"][1]))


class PrometheusTraffic:
    """Implements `ports.rollout.LiveMetrics` for the copies of one namespace."""

    def __init__(self, prometheus: Prometheus, namespace: str) -> None:
        self._prometheus = prometheus
        self._namespace = namespace

    def read(self, model: str, role: str) -> LiveCounters:
        """Copies that are scraped and have answered nothing yet count as zero.

        Raises:
            OutsideFailed: Prometheus does not answer.
        """
        copies = f"namespace={quoted(self._namespace)},pod=~{quoted(f'{model}-{role}-[a-z0-9]+-[a-z0-9]+')}"
        ours = f"{copies},model_name={quoted(model)}"
        up = self._prometheus.query(f"max by (pod) (up{{{copies}}})")
        counts = self._prometheus.query(f"sum by (pod, status) ({{__name__={quoted(REQUESTS)},{ours}}})")
        buckets = self._prometheus.query(f"sum by (pod, le) ({{__name__={quoted(LATENCY)},{ours}}})")
        return _counters(up, counts, buckets)


def _counters(up: Sequence[Series], counts: Sequence[Series], buckets: Sequence[Series]) -> LiveCounters:
    requests = {pod: 0.0 for s in up if (pod := s.labels.get("pod")) and s.value == 1}
    errors: dict[str, float] = {}
    latency: dict[str, dict[float, float]] = {}
    for series in counts:
        pod = series.labels.get("pod", "")
        if pod and math.isfinite(series.value):
            requests[pod] = requests.get(pod, 0.0) + series.value
            failed = 0.0 if series.labels.get("status") == OK else series.value
            errors[pod] = errors.get(pod, 0.0) + failed
    for series in buckets:
        pod, bound = series.labels.get("pod", ""), seconds_of(series.labels.get("le", ""))
        if pod and math.isfinite(series.value) and not math.isnan(bound):
            latency.setdefault(pod, {})[bound] = series.value
    return LiveCounters(requests=requests, errors=errors, latency=latency)


def quoted(text: str) -> str:
    """A string of PromQL: double quotes, with the escapes of Go, of which JSON's are a part."""
    return json.dumps(text)


def _login(variables: Mapping[str, str]) -> dict[str, str]:
    token, user, password = (variables.get(name, "").strip() for name in (TOKEN, USER, PASSWORD))
    for name in (TOKEN, USER, PASSWORD):
        if any(mark in variables.get(name, "").strip() for mark in "\r\n\0"):
            raise InputError(f"the value of {name} holds a line break", fix="store it without one")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")}
    return {}


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
