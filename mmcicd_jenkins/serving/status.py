"""How a request can end: TF Serving's status codes, their HTTP status and the class that monitoring counts.

`Refused` never leaves the server: REST and gRPC turn it into their own form of answer.
"""

from enum import Enum


class Code(Enum):
    """A status code: its number in gRPC and its HTTP status."""

    OK = (0, 200)
    CANCELLED = (1, 499)
    UNKNOWN = (2, 500)
    INVALID_ARGUMENT = (3, 400)
    DEADLINE_EXCEEDED = (4, 504)
    NOT_FOUND = (5, 404)
    ALREADY_EXISTS = (6, 409)
    PERMISSION_DENIED = (7, 403)
    RESOURCE_EXHAUSTED = (8, 429)
    FAILED_PRECONDITION = (9, 400)
    ABORTED = (10, 409)
    OUT_OF_RANGE = (11, 400)
    UNIMPLEMENTED = (12, 501)
    INTERNAL = (13, 500)
    UNAVAILABLE = (14, 503)
    DATA_LOSS = (15, 500)
    UNAUTHENTICATED = (16, 401)

    @property
    def number(self) -> int:
        return self.value[0]

    @property
    def http(self) -> int:
        return self.value[1]

    @property
    def outcome(self) -> str:
        """`ok`, `refused` (the request's fault, as the server sees it) or `error`."""
        if self is Code.OK:
            return "ok"
        return "refused" if self.http < 500 else "error"


_BY_NUMBER = {code.number: code for code in Code}


def code_of(number: int) -> Code:
    return _BY_NUMBER.get(number, Code.UNKNOWN)


class Refused(Exception):
    """A request that gets no prediction. `http` overrides the code's HTTP status; `version` is the version that
    refused, "" when none was reached.
    """

    def __init__(self, code: Code, message: str, *, http: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http = http or code.http
        self.version = ""


def invalid(message: str) -> Refused:
    return Refused(Code.INVALID_ARGUMENT, message)


def shown(value: object, limit: int = 256) -> str:
    """Foreign text in a message: bounded, because the request may be megabytes."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[:limit] + "..."
