"""The server process: ports, signals, the watch on the desired state, the log. Everything heavy starts here.

It ends on SIGTERM or SIGINT: no new connections, what runs is answered, models are closed. One line per event.
"""

import asyncio
import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from mmcicd_jenkins.errors import InputError, MmcicdError
from mmcicd_jenkins.release.desired import Actual, Desired, Listening
from mmcicd_jenkins.serving.event_log import open_log
from mmcicd_jenkins.serving.ports import cannot_listen, take_ports
from mmcicd_jenkins.serving.state import StateDirectory

# How soon a changed desired state is seen.
POLL_SECONDS = 0.1
# How long a loading model may keep the interpreter from the requests of the others: a tenth of the default.
SWITCH_SECONDS = 0.0005
# How long requests may run on after SIGTERM: TF Serving's REST timeout.
GRACE_SECONDS = 30.0


class Server:
    """One state directory served on one REST and one gRPC port; `listening` is told the REST port it got."""

    def __init__(self, state: StateDirectory, listening: Callable[[int], None] | None = None) -> None:
        self._state = state
        self._listening = listening
        self._log = open_log(state.root)
        self._problem = ""
        self._unpublished = False

    def run(self) -> None:
        """Serve until told to end.

        Raises:
            MmcicdError: it cannot start; the same is written to `server.json` and to the log.
        """
        self._state.note_pid()
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            desired = self._state.read_desired()
            listener = take_ports(desired)
            self._serve(desired, listener)
        except MmcicdError as e:
            self._log.info("cannot start: %s (%s)", e.what, e.why or e.where)
            failed = Listening(pid=os.getpid(), what=e.what, where=e.where, why=e.why, fix=e.fix)
            self._state.write_listening(failed)
            raise

    def _serve(self, desired: Desired, listener: socket.socket) -> None:
        try:
            from mmcicd_jenkins.serving import grpc_api
            from mmcicd_jenkins.serving.inference import Inference
            from mmcicd_jenkins.serving.loading import make_loader
            from mmcicd_jenkins.serving.metrics import Metrics
            from mmcicd_jenkins.serving.models import Models
            from mmcicd_jenkins.serving.reload import make_reload
            from mmcicd_jenkins.serving.saved_model import prepare
        except ImportError as e:
            raise InputError(
                f"the embedded server needs {e.name}", fix="pip install 'mmcicd-jenkins[tensorflow]'"
            ) from e
        prepare()
        metrics = Metrics()
        self._models = Models(self._state.root, make_loader(metrics), self._publish, self._note)
        requests = Inference(self._models, metrics)
        reload = make_reload(self._state.root, self._models)
        grpc_server = grpc_api.make_server(requests, reload, desired.max_request_bytes, self._note)
        grpc_port = grpc_api.bind(grpc_server, desired.host, desired.grpc_port)
        if not grpc_port:
            raise cannot_listen(desired, desired.grpc_port, "grpc_port", errno.EADDRINUSE)
        grpc_server.start()
        asyncio.run(self._serve_rest(desired, listener, requests, grpc_port))
        self._note("draining")
        grpc_server.stop(GRACE_SECONDS).wait()
        self._models.close()
        self._state.clear()
        self._note("ended")

    async def _serve_rest(
        self, desired: Desired, listener: socket.socket, requests: Any, grpc_port: int
    ) -> None:
        from aiohttp import web

        from mmcicd_jenkins.serving.rest import RestApi

        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        api = RestApi(requests, desired.max_request_bytes, self._note)
        runner = web.ServerRunner(web.Server(api.handle, access_log=None), shutdown_timeout=GRACE_SECONDS)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        rest_port = int(listener.getsockname()[1])
        self._note(f"listening on {desired.host}: REST {rest_port}, gRPC {grpc_port}")
        watching = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(watching,), name="watch", daemon=True)
        watcher.start()
        self._state.write_listening(
            Listening(pid=os.getpid(), host=desired.host, rest_port=rest_port, grpc_port=grpc_port)
        )
        if self._listening is not None:
            self._listening(rest_port)
        await ended.wait()
        watching.set()
        await runner.cleanup()
        api.close()
        watcher.join()

    def _watch(self, ended: threading.Event) -> None:
        """Take up every change; what could not be published, a full disk say, is published when it can be."""
        while not ended.is_set():
            if self._state.changed():
                self._take()
            elif self._unpublished:
                self._publish()
            ended.wait(POLL_SECONDS)

    def _take(self) -> None:
        """Take up the desired state; what is wrong with it is published and what served before serves on."""
        try:
            desired = self._state.read_desired()
        except MmcicdError as e:
            problem = f"{e.what}: {e.why or e.where}"
        else:
            problem = self._models.take(dict(desired.models))
        if problem and problem != self._problem:
            self._note(problem)
        self._problem = problem
        self._publish()

    def _publish(self) -> None:
        try:
            self._state.write_actual(
                lambda: Actual(pid=os.getpid(), models=self._models.states(), problem=self._problem)
            )
            self._unpublished = False
        except OSError as e:
            if not self._unpublished:
                self._note(f"cannot write {self._state.root}: {e.strerror}")
            self._unpublished = True

    def _note(self, text: str) -> None:
        self._log.info("%s", " ".join(text.split()))
