"""The REST side on aiohttp: bounded bodies in, answers from worker threads, never a traceback out."""

import asyncio
import json
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from google.protobuf.json_format import MessageToJson

from mmcicd_jenkins.serving import inference
from mmcicd_jenkins.serving.examples import classification_text, parse_examples, regression_text
from mmcicd_jenkins.serving.inference import Asked, Inference, Wanted
from mmcicd_jenkins.serving.json_inputs import arrays_from, parse_predict
from mmcicd_jenkins.serving.json_outputs import columns_text, rows_text
from mmcicd_jenkins.serving.paths import Call, is_api, parse_call
from mmcicd_jenkins.serving.saved_model import DEFAULT_SIGNATURE
from mmcicd_jenkins.serving.status import Code, Refused, invalid
from mmcicd_jenkins.serving.versions import Servable
from mmcicd_jenkins.serving.wire_messages import metadata_response, status_response

METRICS_PATH = "/monitoring/prometheus/metrics"
# TF Serving's --rest_api_timeout_in_ms.
TIMEOUT_SECONDS = 30.0
THREADS = 16
# A parsed body takes up to twenty times its bytes: of bodies above this size few are read and one is answered at a time.
LARGE_BODY = 2**20


@dataclass(frozen=True)
class Answer:
    """What a worker thread made of a request."""

    status: int
    text: str
    version: str = ""


class RestApi:
    """Handles one aiohttp server."""

    def __init__(self, inference: Inference, max_request_bytes: int, log: Callable[[str], None]) -> None:
        self._inference = inference
        self._limit = max_request_bytes
        self._log = log
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="rest")
        self._large_bodies = asyncio.Semaphore(8)
        self._large_answers = asyncio.Semaphore(1)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The handler of every path and verb."""
        path = request.raw_path.partition("?")[0]
        if path == METRICS_PATH:
            return web.Response(text=self._inference.metrics.text(), content_type="text/plain")
        if not is_api(path):
            return _response(_error(404, f"Not found: {path[:256]}"))
        try:
            answer = await self._answer(request, path)
        except Refused as e:
            answer = _error(e.http, e.message, e.version)
        response = _response(answer)
        if answer.status == 413 or request.content.exception() is not None:
            # What is left of the body is not read or makes no sense, so the connection cannot be used again.
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest, path: str) -> Answer:
        try:
            call = parse_call(request.method, path)
        except Refused as e:
            self._count_refused(Wanted(model=""), "", e)
            raise
        async with AsyncExitStack() as held:
            try:
                body = await self._read(request, held)
            except Refused as e:
                self._count_refused(call.wanted, call.method, e)
                raise
            if len(body) > LARGE_BODY:
                await held.enter_async_context(self._large_answers)
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._work, call, body)
            try:
                return await asyncio.wait_for(asyncio.shield(work), TIMEOUT_SECONDS)
            except TimeoutError:
                return _error(504, f"no answer within {TIMEOUT_SECONDS:.0f} s")

    async def _read(self, request: web.BaseRequest, held: AsyncExitStack) -> bytes:
        """The body, unzipped and bounded. `held` is what a large one keeps others from until it is answered."""
        await self._greet(request)
        parts: list[bytes] = []
        size, large = 0, False
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                async for part in request.content.iter_any():
                    size += len(part)
                    if size > self._limit:
                        raise self._too_large()
                    if size > LARGE_BODY and not large:
                        large = True
                        await held.enter_async_context(self._large_bodies)
                    parts.append(part)
        except TimeoutError:
            raise Refused(Code.DEADLINE_EXCEEDED, "The body did not arrive in time") from None
        except (HttpProcessingError, zlib.error, web.RequestPayloadError):
            raise invalid("The body cannot be read: wrong Content-Encoding or length") from None
        return b"".join(parts)

    async def _greet(self, request: web.BaseRequest) -> None:
        """Refuse a body that says that it is too large before it is sent; ask for one that waits to be asked."""
        if request.content_length is not None and request.content_length > self._limit:
            raise self._too_large()
        if request.headers.get("Expect", "").lower() == "100-continue":
            writer = request.writer
            await writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            # These bytes are no part of the answer that follows.
            writer.output_size = 0

    def _too_large(self) -> Refused:
        return Refused(Code.RESOURCE_EXHAUSTED, f"The body is larger than {self._limit} bytes", http=413)

    def _count_refused(self, wanted: Wanted, api: str, why: Refused) -> None:
        """Count a request that never reached a servable, for the version that would have answered it."""
        known = self._inference.models.knows(wanted.model)
        version = self._inference.models.version_for(wanted.model, wanted.version)
        self._inference.metrics.record_request(
            model=wanted.model if known else "",
            version=str(version or ""),
            api=api,
            entrypoint="REST",
            status=why.code.name,
            outcome=why.code.outcome,
            seconds=0.0,
        )

    def _work(self, call: Call, body: bytes) -> Answer:
        try:
            return self._dispatch(call, body)
        except Refused as e:
            return _error(e.http, e.message, e.version)
        except Exception as e:  # noqa: BLE001 - a client never sees a traceback; the log says what it was
            self._log(f"{call.method} {call.wanted.model}: {type(e).__name__}: {e}")
            return _error(500, "The server failed to answer; its log says why")

    def _dispatch(self, call: Call, body: bytes) -> Answer:
        wanted = call.wanted
        if call.method == "status":
            states = self._inference.models.state(wanted.model)
            return Answer(200, _proto_text(status_response(wanted.model, states, wanted.version)))
        if call.method == "metadata":
            with self._inference.models.hold(wanted.model, wanted.version, wanted.label) as servable:
                return Answer(200, _metadata_text(wanted.model, servable))
        answer = {"predict": _predict, "classify": _classify, "regress": _regress}[call.method]
        with self._inference.request(wanted, call.method, "REST") as asked:
            return Answer(200, answer(asked, body), str(asked.servable.version))

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _predict(asked: Asked, body: bytes) -> str:
    parsed = parse_predict(body)
    signature = asked.servable.loaded.signature(parsed.signature)
    if signature is None:
        raise invalid(
            f'Serving signature name: "{parsed.signature or DEFAULT_SIGNATURE}" not found in signature def'
        )
    if not signature.dtypes:
        raise invalid(f"Failed to get input map for signature: {parsed.signature or 'DEFAULT'}")
    outputs = inference.predict(asked, parsed.signature, arrays_from(parsed, signature.dtypes))
    return rows_text(outputs) if parsed.rows else columns_text(outputs)


def _classify(asked: Asked, body: bytes) -> str:
    signature, examples = parse_examples(body)
    return classification_text(inference.classify(asked, signature, examples))


def _regress(asked: Asked, body: bytes) -> str:
    signature, examples = parse_examples(body)
    return regression_text(inference.regress(asked, signature, examples))


def _proto_text(message: object) -> str:
    return str(MessageToJson(message, always_print_fields_with_no_presence=True, indent=1))


def _metadata_text(model: str, servable: Servable) -> str:
    """As TF Serving joins it: the specification and the signature map, proto field names kept."""
    spec, signatures = metadata_response(model, servable)
    documents = [
        json.loads(
            MessageToJson(
                message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
            )
        )
        for message in (spec, signatures)
    ]
    return json.dumps({"model_spec": documents[0], "metadata": {"signature_def": documents[1]}}, indent=1)


def _error(status: int, message: str, version: str = "") -> Answer:
    return Answer(status, json.dumps({"error": message}, indent=4), version)


def _response(answer: Answer) -> web.Response:
    headers = {"X-Model-Version": answer.version} if answer.version else None
    return web.Response(
        status=answer.status, text=answer.text, content_type="application/json", headers=headers
    )
