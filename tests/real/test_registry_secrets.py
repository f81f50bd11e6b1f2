"""No secret comes back: registries, token servers and proxies that quote what they were told, in every spelling.

Eight secrets are planted, one for each way to log in. Whatever fails, its error with all of its causes, and all that
was printed, hold none of them: not raw, in base64 at any offset, in hex, as a URL, as JSON, as Python, as a shell word.
"""

import base64
import itertools
import json
import logging
import os
import shlex
import stat
import traceback
from urllib.parse import quote

import fault_proxy
import faults
import pytest
import registry
import registry_tokens

from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.adapters.registry.tries import Deadlines, Patience
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.image.descriptor import MANIFEST, Descriptor
from mmcicd_jenkins.image.reference import Reference

pytestmark = [pytest.mark.real, registry.needs_registry]

# One for each place in which one may be; hostile to careless quoting.
SECRETS = {
    name: f"{name}-S3cr\"t'ü+/ %41-{name}"
    for name in (
        "variable",
        "auth",
        "password",
        "helper",
        "identity",
        "registry-token",
        "helper-token",
        "proxy",
    )
}


def spellings(secret):
    """As it may stand in a text."""
    raw = secret.encode()
    plain = [
        raw,
        *(each.encode() for each in (quote(secret, safe=""), repr(secret)[1:-1], shlex.quote(secret))),
    ]
    yield from (*plain, json.dumps(secret)[1:-1].encode())
    for offset in range(3):
        yield base64.b64encode(b"x" * offset + raw + b"y")
        yield base64.urlsafe_b64encode(b"x" * offset + raw + b"y")


def traces(secret):
    """What of each spelling cannot be otherwise: of base64 without the letters that neighbours change."""
    for form in spellings(secret):
        yield form[4:-4] if form.rstrip(b"=").replace(b"-", b"").replace(b"_", b"").isalnum() else form


def found(text):
    """Where one stands, with what is around it."""
    held = text.encode("utf-8", "backslashreplace")
    places = [held.find(form) for secret in SECRETS.values() for form in traces(secret)]
    return [held[max(0, at - 150) : at + 80] for at in places if at >= 0]


def quoting(status, secret):
    """Answers that repeat the request, then the secret in one spelling after the other: what is told is cut short."""
    turn = itertools.count()

    def quoted(exchange):
        exchange.drain()
        said = [exchange.head.encoded(), *spellings(secret)]
        at = next(turn) % len(said)
        text = b" ".join(said[at:] + said[:at]).decode("utf-8", "replace")
        body = json.dumps({"errors": [{"code": "X", "message": text, "detail": {"header": text}}]}).encode()
        where = "http://127.0.0.1:1/?" + quote(secret, safe="")
        faults.answer(status, body, Content_Type="application/json", Location=where)(exchange)

    return quoted


def helper(folder, token):
    """A credential helper, as they are installed beside Docker."""
    name = f"h{'t' if token else 'p'}"
    answer = {
        "Username": "<token>" if token else "anna",
        "Secret": SECRETS["helper-token" if token else "helper"],
    }
    (folder / f"{name}.json").write_text(json.dumps(answer))
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\ncat > /dev/null\ncat {shlex.quote(str(folder / f'{name}.json'))}\n")
    program.chmod(stat.S_IRWXU)
    return name


def way(name, host, folder):
    """The environment in which one secret is the login."""
    if name == "variable":
        return {"MMCICD_REGISTRY_USER": "anna", "MMCICD_REGISTRY_PASSWORD": SECRETS[name]}
    if name == "proxy":
        address = f"http://anna:{quote(SECRETS[name], safe='')}@{host}"
        return {"HTTP_PROXY": address, "HTTPS_PROXY": address}
    pair = base64.b64encode(f"anna:{SECRETS[name]}".encode()).decode()
    auths = {
        "auth": {"auth": pair},
        "password": {"username": "anna", "password": SECRETS[name]},
        "identity": {"auth": base64.b64encode(b"anna:").decode(), "identitytoken": SECRETS[name]},
        "registry-token": {"registrytoken": SECRETS[name]},
    }
    config = (
        {"auths": {host: auths[name]}}
        if name in auths
        else {"credHelpers": {host: helper(folder, "token" in name)}}
    )
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture
def tell(caplog, capfd):
    """A function that does something and returns all that anybody could read of it."""
    caplog.set_level(logging.DEBUG)

    def all_that_is_told(work):
        text = [repr(work)]
        try:
            work()
        except MmcicdError as error:
            text += [json.dumps(error.to_json(), ensure_ascii=False), str(error), repr(error)]
            text += traceback.format_exception(error)
        out, err = capfd.readouterr()
        return "\n".join([*text, out, err, caplog.text])

    return all_that_is_told


def works(repository):
    blob = Descriptor(media_type=MANIFEST, digest="sha256:" + "0" * 64, size=5)
    return [
        lambda: repository.put_blob(b"content"),
        lambda: list(repository.chunks(blob)),
        lambda: repository.manifest("1"),
        lambda: repository.put_manifest("1", b"{}", MANIFEST),
        lambda: repository.mount(blob.digest, Reference(registry=repository.place.registry, name="x/y")),
        lambda: list(repository.tags()),
        lambda: repository.delete(blob.digest),
    ]


@pytest.mark.parametrize("status", [None, 400, 401, 403, 404, 413, 429, 500, 307])
@pytest.mark.parametrize("name", SECRETS)
def test_what_a_registry_quotes_is_not_told(tmp_path, tell, name, status):
    """By every way to log in, in success (None) and in failure, with a token server that quotes as well."""
    user = {"anna": SECRETS.get(name, "")}
    tokens_folder = tmp_path / "tokens"
    with registry_tokens.serve(tokens_folder, logins=user, identities={SECRETS[name]: "anna"}) as tokens:
        place = tokens.address.removeprefix("http://")
        with fault_proxy.serve(place) as before_tokens:
            tokens.address = f"http://{before_tokens.host}"
            with (
                registry.serve(tmp_path / "registry", tokens=tokens) as running,
                fault_proxy.serve(running.host) as proxy,
            ):
                host = "198.51.100.7" if name == "proxy" else proxy.host
                variables = way(name, proxy.host, tmp_path)
                access = Access(
                    host,
                    {"HOME": "/nonexistent", **variables},
                    insecure=True,
                    deadlines=Deadlines(connect=1, stall=1),
                    patience=Patience(tries=2, pause=0.01),
                )
                repository = Repository(Reference(registry=host, name="a/b"), access)
                told = tell(lambda: repository.blob_size("sha256:" + "0" * 64))
                if status:
                    proxy.on("*", "/a/b/", quoting(status, SECRETS[name]), times=10**6)
                    told += "".join(tell(work) for work in works(repository) * 2)
                    proxy.calm()
                    before_tokens.on("*", "/", quoting(status, SECRETS[name]), times=10**6)
                    proxy.on(
                        "*",
                        "/v2/",
                        faults.answer(401, Www_Authenticate=f'Bearer realm="{tokens.address}/token"'),
                        times=10**6,
                    )
                    told += "".join(tell(work) for work in works(repository))
                else:
                    told += "".join(tell(work) for work in works(repository))
                told += repr([access, repository, vars(repository)])
                access.close()
    assert len(told) > 500
    assert not found(told)
