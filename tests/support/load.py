"""A client that asks at a steady rate whatever comes back, and counts: failures by kind, versions, latency, gaps.

    python tests/support/load.py --rest 10.0.0.1:8501 --grpc 10.0.0.1:8500 --model churn --lane new:50 --lane kept:25

It is an open loop: a request is due when it is due, and its latency counts from then. Each lane has a way to ask:
`new` opens a connection for every request, `kept` goes on with a few HTTP/1.1 connections, `grpc` with one channel,
`grpc-new` opens a channel each time. Nothing is ever tried again, so that each failure is seen. It ends when its
standard input ends and prints one object. `with asking(...) as load:` runs it beside a test; `load.end()` is what it saw.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 10.0
# Enough to share a rate of 100 among them, few enough that each is used all the time.
KEPT_CONNECTIONS = 4
FAILURES_TOLD = 200


@dataclass
class Seen:
    """When a version answered: counts, and the first and last begin of such a request, in seconds since 1970."""

    count: int = 0
    first: float = 0.0
    last: float = 0.0


@dataclass
class Lane:
    """What one way of asking saw. `failed` has (begin, kind); `oldest` is the age of the oldest kept connection."""

    way: str
    rate: float
    sent: int = 0
    ok: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    failed: list[tuple[float, str]] = field(default_factory=list)
    versions: dict[str, Seen] = field(default_factory=dict)
    longest_gap: float = 0.0
    connections: int = 0
    oldest: float = 0.0
    latest_start: float = 0.0  # by which the client itself was late, at worst
    millis: list[float] = field(default_factory=list)
    answered: float = 0.0

    def good(self, begun: float, due: float, version: str) -> None:
        now = time.time()
        self.ok += 1
        self.millis.append((now - due) * 1e3)
        self.longest_gap = max(self.longest_gap, now - self.answered) if self.answered else 0.0
        self.answered = now
        seen = self.versions.setdefault(version, Seen(first=begun))
        seen.count += 1
        seen.last = max(seen.last, begun)

    def bad(self, begun: float, kind: str) -> None:
        self.failures[kind] = self.failures.get(kind, 0) + 1
        if len(self.failed) < FAILURES_TOLD:
            self.failed.append((begun, kind))

    def document(self) -> dict[str, Any]:
        told = asdict(self)
        millis = sorted(told.pop("millis"))
        del told["answered"]
        shares = (("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1.0))
        places = {name: min(int(len(millis) * share), len(millis) - 1) for name, share in shares}
        return told | {name: round(millis[place], 2) if millis else 0.0 for name, place in places.items()}


class WrongError(Exception):
    """An answer came that is none; its kind is the message."""


class Http:
    """One HTTP/1.1 connection."""

    def __init__(self, address: str, model: str) -> None:
        self.host, _, self.port = address.rpartition(":")
        body = b'{"instances": [1.0]}'
        head = (
            f"POST /v1/models/{model}:predict HTTP/1.1\r\nHost: {address}\r\nContent-Length: {len(body)}\r\n"
        )
        self.request = {True: head.encode() + b"\r\n" + body}
        self.request[False] = head.encode() + b"Connection: close\r\n\r\n" + body
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.since = 0.0

    async def ask(self, *, keep: bool) -> str:
        if self.writer is None or self.reader is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, int(self.port))
            self.since = time.time()
        self.writer.write(self.request[keep])
        head = await self.reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        body = await self.reader.readexactly(int(fields.get(b"content-length", b"0")))
        status = head.split(b" ", 2)[1].decode()
        if status != "200":
            raise WrongError(f"status {status}")
        if fields.get(b"connection") == b"close":
            self.drop()
        return named(json.loads(body)["predictions"][0])

    def drop(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


def named(value: float) -> str:
    """Versions multiply by their own number, and are asked for 1."""
    return f"{value:g}"


async def ask_new(address: str, model: str, lane: Lane) -> str:
    connection = Http(address, model)
    lane.connections += 1
    try:
        return await connection.ask(keep=False)
    finally:
        connection.drop()


class Kept:
    """A few connections; each is used by one request at a time."""

    def __init__(self, address: str, model: str, lane: Lane) -> None:
        self.free: asyncio.Queue[Http] = asyncio.Queue()
        self.lane = lane
        for _ in range(KEPT_CONNECTIONS):
            self.free.put_nowait(Http(address, model))

    async def ask(self) -> str:
        connection = await self.free.get()
        try:
            self.lane.connections += connection.writer is None
            version = await connection.ask(keep=True)
            self.lane.oldest = max(self.lane.oldest, time.time() - connection.since)
            return version
        except WrongError:
            raise  # an answer; the connection is as good as before
        except BaseException:
            connection.drop()
            raise
        finally:
            self.free.put_nowait(connection)


class Grpc:
    def __init__(self, address: str, model: str, lane: Lane, *, keep: bool) -> None:
        import grpc.aio
        import numpy as np

        from mmcicd_jenkins.adapters.models import tf_wire

        self.grpc, self.wire, self.address, self.lane = grpc, tf_wire, address, lane
        self.message = tf_wire.predict_request(model, "", {"x": np.ones(1, np.float32)}, ("y",))
        self.kept = self.channel() if keep else None

    def channel(self) -> Any:
        self.lane.connections += 1
        # Channels of one process share connections unless told not to.
        return self.grpc.aio.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)])

    async def ask(self) -> str:
        channel = self.kept or self.channel()
        call = channel.unary_unary(
            self.wire.PREDICT,
            request_serializer=self.wire.PredictRequest.SerializeToString,
            response_deserializer=self.wire.PredictResponse.FromString,
        )
        try:
            (array,) = self.wire.outputs_of(await call(self.message, timeout=TIMEOUT_SECONDS)).values()
        except self.grpc.aio.AioRpcError as e:
            raise WrongError(e.code().name) from e
        finally:
            if not self.kept:
                await channel.close()
        return named(float(array[0]))


def asker(lane: Lane, rest: str, grpc_address: str, model: str) -> Callable[[], Awaitable[str]]:
    match lane.way:
        case "new":
            return lambda: ask_new(rest, model, lane)
        case "kept":
            return Kept(rest, model, lane).ask
        case "grpc" | "grpc-new":
            return Grpc(grpc_address, model, lane, keep=lane.way == "grpc").ask
    raise SystemExit(f"no way to ask is called {lane.way}")


async def one(ask: Callable[[], Awaitable[str]], lane: Lane, due: float) -> None:
    begun = time.time()
    lane.latest_start = max(lane.latest_start, begun - due)
    try:
        lane.good(begun, due, await asyncio.wait_for(ask(), TIMEOUT_SECONDS))
    except WrongError as e:
        lane.bad(begun, str(e))
    except (OSError, EOFError, TimeoutError, ValueError) as e:
        lane.bad(begun, type(e).__name__)


async def walk(lane: Lane, ask: Callable[[], Awaitable[str]], ended: asyncio.Event) -> None:
    tasks: set[asyncio.Task[None]] = set()
    start = time.time()
    while not ended.is_set():
        due = start + lane.sent / lane.rate
        if (wait := due - time.time()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), wait)
                break
        lane.sent += 1
        task = asyncio.create_task(one(ask, lane, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)


async def ask_all(options: argparse.Namespace) -> list[Lane]:
    lanes = [Lane(way, float(rate)) for way, _, rate in (text.partition(":") for text in options.lane)]
    asks = [asker(lane, options.rest, options.grpc, options.model) for lane in lanes]
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    print("asking", file=sys.stderr, flush=True)
    await asyncio.gather(*(walk(lane, ask, ended) for lane, ask in zip(lanes, asks, strict=True)))
    return lanes


@dataclass
class Load:
    """The client beside a test."""

    process: "subprocess.Popen[str]"
    lanes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def end(self) -> dict[str, dict[str, Any]]:
        """What each lane saw, by its way; the client ends with the first call."""
        if not self.lanes:
            said, _ = self.process.communicate(timeout=60)
            self.lanes = {lane["way"]: lane for lane in json.loads(said)}
        return self.lanes

    @property
    def failures(self) -> dict[str, dict[str, int]]:
        return {way: lane["failures"] for way, lane in self.end().items() if lane["failures"]}


@contextlib.contextmanager
def asking(rest: str, model: str, *lanes: str, grpc: str = "") -> Iterator[Load]:
    """Ask until `end()` or the end of the block; it asks already when the block begins."""
    words = [word for lane in lanes for word in ("--lane", lane)]
    command = [sys.executable, __file__, "--rest", rest, "--grpc", grpc, "--model", model, *words]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    if process.stderr.readline() != "asking\n":
        raise AssertionError(f"the client does not start: {process.communicate()}")
    load = Load(process)
    try:
        yield load
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask a model all the time and count what comes back.")
    parser.add_argument("--rest", required=True, help="host:port")
    parser.add_argument("--grpc", default="", help="host:port")
    parser.add_argument("--model", required=True)
    parser.add_argument("--lane", action="append", required=True, help="new:50, kept:25, grpc:10, grpc-new:5")
    lanes = asyncio.run(ask_all(parser.parse_args()))
    print(json.dumps([lane.document() for lane in lanes], indent=1))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
