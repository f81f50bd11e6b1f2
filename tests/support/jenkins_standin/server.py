"""HTTP as a controller speaks it: authentication, crumbs, redirects, quirks; every request is kept for the tests."""

import base64
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from jenkins_standin.builds import Build, Script
from jenkins_standin.items import FOLDER, MULTIBRANCH, Refused, Stored, Tree
from jenkins_standin.state import HOOKS, State

# An error page: a menu of 20,000 letters, and somewhere in it what happened.
PAGE = (
    "<!DOCTYPE html><html><head><title>Jenkins</title></head><body>" + "<svg><path d='M 1 2'/></svg>" * 900
    + "<!--\nstart of main content ⇒\n--><h1><span> Oops!</span></h1><div id='error-description'>"
    "<h2>A problem occurred while processing the request</h2><p>Logging ID=c0ffee</p></div>{}<!--\n⇐ end of main content\n--></body></html>"
)  # fmt: skip
# What the servlet container answers by itself, for a request that never reached a page of Jenkins.
TABLE = (
    "<html><head><title>Error {0} {1}</title></head><body><h2>HTTP ERROR {0} {1}</h2><table>"
    "<tr><th>STATUS:</th><td>{0}</td></tr><tr><th>MESSAGE:</th><td>{1}</td></tr></table></body></html>"
)


class Standin:
    """A controller with its accounts. `faults` maps a path to statuses that it answers with first."""

    def __init__(
        self, accounts: dict[str, str] | None = None, plugins: set[str] | None = None, port: int = 0
    ) -> None:
        self.accounts = accounts or {"admin": "11aa", "alice": "11bb", "bob": "11cc"}
        self.passwords = {user: "password-" + user for user in self.accounts}
        self.readers: set[str] = set()  # may look, and nothing else
        self.items = Tree(plugins)
        self.state = State(self.items, self.readers)
        self.rest_api = True  # the plugin pipeline-rest-api
        self.queue: dict[int, dict] = {}
        self.scans: dict[str, Script] = {}
        self.faults: dict[str, list[int]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"standin": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self) -> Counter:
        """Requests by method."""
        return Counter(method for method, _, _ in self.requests)

    def item(self, full_name: str) -> Stored:
        return self.items.find(full_name.split("/"))

    # --- builds

    def schedule(self, item: Stored, parameters: dict[str, str]) -> tuple[int, int]:
        """The status and the number of the queue item."""
        for number, entry in self.queue.items():
            if (
                entry["item"] is item
                and entry["build"] is None
                and entry["parameters"] == parameters
                and not entry["cancelled"]
            ):
                return 303 if item.parameters else 201, number
        number = len(self.queue) + 1
        script = item.script or Script()
        self.queue[number] = {
            "item": item, "parameters": parameters, "build": None, "cancelled": False, "looks": script.queued, "script": script,
        }  # fmt: skip
        return 201, number

    def begin(self, entry: dict) -> Build:
        item = entry["item"]
        build = Build(next(item.numbers), entry["script"], entry["parameters"])
        item.builds[build.number] = build
        entry["build"] = build
        return build

    def start_by_name(self, full_name: str) -> None:
        """What `build job:` does."""
        _, number = self.schedule(self.item(full_name), {})
        self.begin(self.queue[number])


class _Handler(BaseHTTPRequestHandler):
    standin: Standin
    protocol_version = "HTTP/1.1"
    # An answer leaves in one packet; in two, each would wait for the other side's acknowledgement.
    wbufsize = 65536
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve("GET", {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._body = body
        form = {}
        if "urlencoded" in self.headers.get("Content-Type", ""):
            form = {k: v[0] for k, v in parse_qs(body.decode(), keep_blank_values=True).items()}
        self._serve("POST", form)

    def _serve(self, method: str, form: dict[str, str]) -> None:
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        with self.standin.lock:
            if parts.path.startswith("/standin/"):
                self._of_our_own(parts.path)
                return
            self.standin.requests.append((method, self.path, form))
            try:
                self._fail_when_asked(parts.path)
                user = self._user(method)
                self._route(method, parts.path, query, form, user)
            except Refused as e:
                headers = {"X-Error": e.error} if e.error else {}
                self._answer(
                    e.status, PAGE.format(e.error or e.message).encode(), "text/html;charset=utf-8", headers
                )

    def _fail_when_asked(self, path: str) -> None:
        faults = self.standin.faults.get(path)
        if faults:
            raise Refused(faults.pop(0), "asked to fail")

    def _of_our_own(self, path: str) -> None:
        """What no controller has: benchmarks count requests and begin anew."""
        if path == "/standin/forget":
            self.standin.items.children.clear()
            self.standin.requests.clear()
        self._json({"requests": len(self.standin.requests)})

    def _user(self, method: str) -> str:
        header = self.headers.get("Authorization", "")
        if not header and urlsplit(self.path).path.strip("/") in HOOKS:
            return ""
        if not header.startswith("Basic "):
            raise Refused(403, "Authentication required")
        user, _, secret = base64.b64decode(header[6:]).decode().partition(":")
        if self.standin.accounts.get(user) == secret:
            return user
        if self.standin.passwords.get(user) != secret:
            raise Refused(401, "Unauthorized")
        if method == "POST" and "Jenkins-Crumb" not in self.headers:
            raise Refused(403, "No valid crumb was included in the request")
        return user

    def _route(self, method: str, path: str, query: dict, form: dict, user: str) -> None:
        raw = [part for part in path.split("/") if part]
        names = []
        while len(raw) >= 2 and raw[0] == "job":
            names.append(unquote(raw[1]))
            raw = raw[2:]
        item = self.standin.items.find(names)
        rest = "/".join(raw)
        if method == "POST" and user in self.standin.readers:
            raise Refused(403, f"{user} is missing the Job/Configure permission")
        done = re.fullmatch(r"(\d+|lastBuild)/(.*)", rest)
        if not names and self._top(method, rest, query, form, user):
            return
        if done:
            self._build(method, item, done[1], done[2], query, form, user)
        elif rest == "indexing/logText/progressiveText":
            self._log(self._scan(item), query)
        elif method == "POST":
            self._post(item, names, rest, query, form)
        elif rest in {"checkJobName", "config.xml"} and user in self.standin.readers:
            raise Refused(403, f"{user} is missing the Job permission")
        elif rest == "checkJobName":
            self._answer(200, b"<div/>")
        elif rest.startswith("credentials/store/"):
            answer = self.standin.state.credentials("/".join(names), user)
            self._answer(answer.status, answer.body, answer.kind, answer.headers)
        elif rest == "config.xml":
            self._answer(200, item.xml(), "application/xml;charset=utf-8")
        elif rest == "api/json":
            self._json(self._item_document(item, query.get("tree", "")))
        else:
            raise Refused(404)

    def _top(self, method: str, rest: str, query: dict, form: dict, user: str) -> bool:
        queued = re.fullmatch(r"queue/item/(\d+)/api/json", rest)
        if rest == "" and method == "GET":
            self._answer(200)
        elif rest == "me/api/json":
            self._json({"_class": "hudson.model.User", "id": user, "fullName": user})
        elif queued:
            self._json(self._queue_document(int(queued[1])))
        elif method == "POST" and rest == "queue/cancelItem":
            entry = self.standin.queue.get(int(form.get("id", "0")))
            if entry and entry["build"] is None:
                entry["cancelled"] = True
            self._answer(302 if entry else 404, headers={"Location": self.standin.url})
        elif method == "GET" and (answer := self.standin.state.answer(rest, query, self.standin.url, user)):
            self._answer(answer.status, answer.body, answer.kind, answer.headers)
        else:
            return False
        return True

    def _queue_document(self, number: int) -> dict:
        entry = self.standin.queue.get(number)
        if entry is None:
            raise Refused(404)
        if entry["cancelled"]:
            return {"_class": "hudson.model.Queue$LeftItem", "id": number, "cancelled": True, "why": None}
        if entry["build"] is None and entry["looks"] > 0:
            entry["looks"] -= 1
            return {
                "_class": "hudson.model.Queue$WaitingItem",
                "id": number,
                "why": "Waiting for next available executor",
            }
        build = entry["build"] or self.standin.begin(entry)
        return {
            "_class": "hudson.model.Queue$LeftItem", "id": number, "cancelled": False, "why": None,
            "executable": {"number": build.number},
        }  # fmt: skip

    def _item_document(self, item: Stored, tree: str) -> dict:
        waiting = [
            n
            for n, e in self.standin.queue.items()
            if e["item"] is item and e["build"] is None and not e["cancelled"]
        ]
        document = {"_class": item.kind, "queueItem": {"id": waiting[0]} if waiting else None, "name": item.name, "description": item.description or None,
                    "url": self.standin.url, "color": "notbuilt", "fullName": item.name}  # fmt: skip
        if item.children or item.kind in {FOLDER, MULTIBRANCH, "hudson.model.Hudson"}:
            inner = tree.partition("jobs[")[2]
            document["jobs"] = (
                [self._item_document(child, inner) for child in item.children.values()]
                if inner or not tree
                else []
            )
        if tree and "description" not in tree:
            document.pop("description")
        return document

    def _post(self, item: Stored, names: list[str], rest: str, query: dict, form: dict) -> None:
        standin = self.standin
        if rest == "createItem":
            standin.items.create(item, query.get("name", ""), self._body)
            self._answer(200)
        elif rest == "config.xml":
            standin.items.update(item, self._body)
            self._answer(200)
        elif rest == "doDelete":
            standin.items.find(names[:-1]).children.pop(names[-1])
            self._answer(302, headers={"Location": self.standin.url})
        elif rest == "build" and item.kind == MULTIBRANCH:
            item.scans += 1
            item.builds.pop("scan", None)
            self._answer(302, headers={"Location": self.standin.url})
        elif rest in {"build", "buildWithParameters"}:
            self._schedule(item, rest, {**query, **form})
        else:
            raise Refused(404)

    def _schedule(self, item: Stored, rest: str, form: dict) -> None:
        if item.kind == FOLDER:
            raise Refused(404)
        if rest == "build" and item.parameters:
            raise Refused(400, "This page expects a form submission")
        if rest == "buildWithParameters" and not item.parameters:
            raise Refused(400, f"{item.name} is not parameterized")
        known = {name: form.get(name, "") for name in item.parameters or []}
        status, number = self.standin.schedule(item, known)
        self._answer(status, headers={"Location": f"{self.standin.url}queue/item/{number}/"})

    def _scan(self, item: Stored) -> Build:
        """The log of the last scan; when it is read to its end, the branches are there."""
        if item.kind != MULTIBRANCH:
            raise Refused(404)
        if "scan" not in item.builds:
            item.builds["scan"] = Build(0, item.script or Script(), {})
        return item.builds["scan"]

    def _build(
        self, method: str, item: Stored, which: str, rest: str, query: dict, form: dict, user: str
    ) -> None:
        builds = {number: build for number, build in item.builds.items() if isinstance(number, int)}
        number = max(builds, default=0) if which == "lastBuild" else int(which)
        if number not in builds:
            raise Refused(404)
        build = builds[number]
        asked = re.fullmatch(r"input/([^/]+)/(proceed|proceedEmpty|submit|abort)", rest)
        if rest == "api/json":
            self._json({
                "number": number, "url": self.standin.url + rest, "result": build.result or None,
                "building": not build.result, "inProgress": not build.result, "description": build.script.description or None,
            })  # fmt: skip
        elif rest == "logText/progressiveText":
            self._log(build, query)
        elif rest == "wfapi/pendingInputActions" and self.standin.rest_api:
            self._json(build.pending())
        elif asked and method == "GET":
            raise Refused(405)
        elif asked:
            self._answer(build.answer(asked[1], asked[2], form, user), headers={"Location": self.standin.url})
        elif rest == "stop" and method == "POST":
            if not build.result:
                build.end("ABORTED")
            self._answer(302, headers={"Location": self.standin.url})
        else:
            raise Refused(404)

    def _log(self, build: Build, query: dict) -> None:
        build.look(self.standin.start_by_name)
        text = build.log.encode()
        start = int(query.get("start", "0"))
        headers = {"X-Text-Size": str(len(text))}
        if not build.result:
            headers["X-More-Data"] = "true"
        sent = (text[start:] if start <= len(text) else text).replace(b"\n", b"\r\n")
        self._answer(200, sent, "text/plain;charset=utf-8", headers)

    def _json(self, document: object) -> None:
        self._answer(200, json.dumps(document).encode(), "application/json;charset=utf-8")

    def _answer(
        self, status: int, body: bytes = b"", kind: str = "text/html", headers: dict | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Jenkins", "2.541.2")
        self.send_header("Set-Cookie", "JSESSIONID.abc=1; Path=/; HttpOnly")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
