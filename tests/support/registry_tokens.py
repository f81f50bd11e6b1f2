"""A token server as the distribution project specifies it: a registry sends clients here, and takes what is signed here.

`logins` are user -> password and `identities` refresh token -> user; `may` decides which actions of a repository a
user ("" without a login) is given. `asked` keeps (user, scopes) of each request, `lifetime` is in seconds.
"""

import base64
import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from certificates import Authority
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from http_service import serving

SERVICE = "registry.test"
ISSUER = "tokens.test"


def everything(user: str, repository: str, actions: list[str]) -> list[str]:
    return actions if user else []


@dataclass
class TokenServer:
    folder: Path
    logins: dict[str, str] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    may: Callable[[str, str, list[str]], list[str]] = everything
    lifetime: int = 300
    status: int = 200  # what it answers instead, when it is out of order
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    address: str = ""

    def __post_init__(self) -> None:
        self.authority = Authority.make(self.folder, "token authority")
        certificate, key = self.authority.issue("token-signer")
        self._chain = x509.load_pem_x509_certificate(certificate.read_bytes())
        self._key = serialization.load_pem_private_key(key.read_bytes(), None)

    def settings(self) -> dict[str, object]:
        """What the registry's configuration says of this server."""
        return {
            "realm": f"{self.address}/token",
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(self.authority.path),
        }

    def user_of(self, header: str) -> str | None:
        """Who a basic login is: "" for nobody, None for a wrong one."""
        if not header:
            return ""
        scheme, _, encoded = header.partition(" ")
        user, _, password = base64.b64decode(encoded).decode().partition(":")
        return user if scheme == "Basic" and self.logins.get(user) == password else None

    def token(self, user: str, scopes: list[str]) -> str:
        self.asked.append((user, tuple(scopes)))
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = self.may(user, name, actions.split(","))
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "iat": now,
            "nbf": now - 10,
            "exp": now + self.lifetime,
            "jti": str(uuid.uuid4()),
            "access": access,
        }
        return self._sign(claims)

    def _sign(self, claims: dict[str, object]) -> str:
        chain = base64.b64encode(self._chain.public_bytes(serialization.Encoding.DER)).decode()
        head = {"typ": "JWT", "alg": "ES256", "x5c": [chain]}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextlib.contextmanager
def serve(folder: Path, **settings: object) -> Iterator[TokenServer]:
    tokens = TokenServer(folder, **settings)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            self._answer(tokens.user_of(self.headers.get("Authorization", "")), asked)

        def do_POST(self) -> None:
            """The OAuth 2 way: a refresh token that a credential helper calls identity token, or a password."""
            asked = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            one = {key: values[0] for key, values in asked.items()}
            if one.get("grant_type") == "refresh_token":
                user = tokens.identities.get(one.get("refresh_token", ""))
            else:
                name = one.get("username", "")
                user = name if tokens.logins.get(name) == one.get("password") else None
            self._answer(user, asked)

        def _answer(self, user: str | None, asked: dict[str, list[str]]) -> None:
            if tokens.status != 200:
                self._send(tokens.status, {"errors": [{"code": "UNAVAILABLE"}]})
            elif user is None:
                self._send(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong login"}]})
            else:
                scopes = [one for text in asked.get("scope", []) for one in text.split()]
                token = tokens.token(user, scopes)
                self._send(200, {"token": token, "access_token": token, "expires_in": tokens.lifetime})

        def _send(self, status: int, document: dict[str, object]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as tokens.address:
        yield tokens
