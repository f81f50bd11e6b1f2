"""The only owner of python-jenkins: one connection to a controller, with the library's traps closed. Imported late.

Of python-jenkins 1.8.3: its retries sit where no request meets them; it knows no timeout by default; it follows
redirects, so that 303 looks like an empty answer; 401, 403 and 500 are one error, 400 and a refused connection
leak foreign ones; it asks for a crumb before each first POST, which API tokens do not need; a kerberos library
that happens to be installed makes it try two logins; it logs the headers of JENKINS_API_EXTRA_HEADERS.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import requests.auth
from requests import exceptions as failures
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

from jenkins import Jenkins
from mmcicd_jenkins.adapters.jenkins.account import Account
from mmcicd_jenkins.adapters.jenkins.errors import LONGEST, refused, unreachable
from mmcicd_jenkins.errors import InputError, OutsideFailed

# Seconds to connect, and between two bytes of an answer: creating a job on a busy controller takes tens of seconds.
TIMEOUT = (10.0, 90.0)
CONNECTIONS = 8
_TRIES = 4
_PASSING = (502, 503, 504)


class Server(Jenkins):  # type: ignore[misc]  # the library has no types
    """Every request, ours and the library's own, goes through `_request` and `_response_handler`."""

    def __init__(
        self, account: Account, *, timeout: tuple[float, float] = TIMEOUT, tries: int = _TRIES
    ) -> None:
        with _silent():
            super().__init__(account.url, account.user or None, account.token or None, timeout=timeout)
        self._account = account
        # Only this one login, whatever else is installed.
        basic = requests.auth.HTTPBasicAuth(account.user.encode(), account.token.encode())
        self._auths: list[tuple[str, Any]] = [("account", basic if account.user else _nobody)]
        session: requests.Session = self._session
        # At once: some of the library's calls send no login until another call has made one.
        session.auth = self._auths[0][1]
        session.verify = account.certificates or True
        # Every answer brings a session cookie; a token needs none, and Jenkins would keep one session per request.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.headers["User-Agent"] = "mmcicd-jenkins"
        retry = Retry(
            total=tries,
            connect=min(tries, 2),
            redirect=0,
            backoff_factor=0.5,
            backoff_jitter=0.5,
            status_forcelist=_PASSING,
            # A POST that got no answer may have been done; only one that never left is sent again.
            allowed_methods=("GET", "HEAD"),
            raise_on_status=False,
        )
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=CONNECTIONS))

    @property
    def has_account(self) -> bool:
        return bool(self._account.user)

    def maybe_add_crumb(self, req: requests.Request) -> None:
        """API tokens need none; `errors` says so to who uses a password."""

    def _request(self, req: requests.Request, stream: bool | None = None) -> requests.Response:
        session: requests.Session = self._session
        address = _address(req.url)
        try:
            prepared = session.prepare_request(req)
            settings = session.merge_environment_settings(str(prepared.url), {}, stream, session.verify, None)
            return session.send(prepared, timeout=self.timeout, allow_redirects=False, **settings)
        except failures.SSLError as e:
            kind = "plain" if "WRONG_VERSION_NUMBER" in str(e) else "tls"
            raise unreachable(kind, address, _cause(e)) from e
        except failures.ProxyError as e:
            raise unreachable("proxy", address, _cause(e)) from e
        except failures.Timeout as e:
            raise unreachable("timeout", address, self._waited()) from e
        except (failures.ChunkedEncodingError, failures.ContentDecodingError) as e:
            raise unreachable("broken", address, _cause(e)) from e
        except failures.ConnectionError as e:
            if _is_late(e):  # after the last of several tries it has another name
                raise unreachable("timeout", address, self._waited()) from e
            kind = "broken" if "aborted" in str(e) else "refused"
            raise unreachable(kind, address, _cause(e)) from e
        except (failures.RequestException, UnicodeError) as e:
            raise InputError("this is no request that Jenkins could get", where=address, why=_cause(e)) from e
        except OSError as e:  # a file of certificates that is none
            raise InputError(
                "the certificates to trust cannot be read", where=self._account.certificates, why=str(e)
            ) from e

    def _waited(self) -> str:
        return f"nothing came for {self.timeout[1]:g} s"

    def _response_handler(self, response: requests.Response) -> requests.Response:
        # 302 answers a form, 303 names the queue item that waits already; neither is followed.
        is_done = response.request.method == "POST" and response.status_code in {201, 302, 303}
        location = response.headers.get("Location", "")
        if response.status_code == 200 or (is_done and "securityRealm" not in location):
            return response
        raise refused(
            response.status_code,
            _address(response.url),
            response.headers,
            response.text,
            user=self._account.user,
        )

    def ask(self, path: str, **query: str | int) -> requests.Response:
        """GET a path below the controller's address."""
        request = requests.Request("GET", self._build_url(path), params=query)
        answer: requests.Response = self.jenkins_request(request)
        return answer

    def knock(
        self, path: str, query: Mapping[str, str] | None = None, *, anonymous: bool = False
    ) -> requests.Response:
        """GET whose status is itself the answer: nothing is raised for it, but for a login that is refused."""
        request = requests.Request("GET", self._build_url(path), params=dict(query or {}))
        request.auth = _nobody if anonymous else self._auths[0][1]
        answer = self._request(request)
        if answer.status_code == 401 and not anonymous:
            self._response_handler(answer)
        return answer

    def ask_json(self, path: str, **query: str | int) -> Any:
        """The document at `path`/api/json."""
        return self.json_of(self.ask(f"{path}api/json", **query))

    def json_of(self, answer: requests.Response) -> Any:
        """The document in an answer.

        Raises:
            OutsideFailed: it holds none.
        """
        try:
            return answer.json()
        except ValueError as e:
            raise OutsideFailed(
                "this does not look like Jenkins",
                where=_address(answer.url),
                why=f"it answers {answer.headers.get('Content-Type', 'something')}, not JSON",
                fix="check jenkins.url; a login page before Jenkins must let API tokens through",
            ) from e

    def send(self, path: str, form: Mapping[str, str] | None = None) -> requests.Response:
        """POST a form; its values stay out of the address, which is logged and has a limit."""
        answer: requests.Response = self.jenkins_request(
            requests.Request("POST", self._build_url(path), data=dict(form or {}))
        )
        return answer

    def send_xml(self, path: str, xml: str, **query: str) -> None:
        headers = {"Content-Type": "application/xml; charset=utf-8"}
        self.jenkins_request(
            requests.Request("POST", self._build_url(path), params=query, data=xml.encode(), headers=headers)
        )


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from looking into a netrc file by itself: we have."""
    return request


@contextmanager
def _silent() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _address(url: object) -> str:
    return str(url or "").partition("?")[0][:LONGEST]


def _is_late(error: BaseException) -> bool:
    inner = error.args[0] if error.args else None
    return isinstance(getattr(inner, "reason", None), ReadTimeoutError)


def _cause(error: BaseException) -> str:
    """The innermost sentence; what is around it names pools and objects."""
    inner: Any = error
    while getattr(inner, "args", ()) and isinstance(inner.args[0], BaseException):
        inner = inner.args[0]
    reason = getattr(inner, "reason", None)
    if isinstance(reason, BaseException):
        return _cause(reason)
    told = str(inner.args[-1]) if getattr(inner, "args", ()) else str(inner)
    return told.rpartition(": ")[2] if "object at 0x" in told or "Connection(host=" in told else told
