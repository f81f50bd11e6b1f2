"""The logins that Docker keeps: config.json, its credential helpers, identity tokens. Nothing is ever written.

The law: a login is for the registry whose name it stands under and for no other; what is in the file or comes from
a helper is shown in no message; a helper is run by its name alone, with the registry's name on its standard input.
"""

import json
import os
import re
import signal
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters.credentials import without_ours
from mmcicd_jenkins.adapters.registry.syntax import HUB_NAMES
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.records import dataclass

# A helper may ask a cloud; nobody waits for one that asks a person.
HELPER_SECONDS = 30.0
_LARGEST = 2**20
_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # noqa: S105 - what a helper answers instead of a name
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NOT_FOUND = re.compile(rb"credentials not found|no credentials|not found in native keychain", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who we are to a registry. `origin` is where that was found, for messages."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    origin: str = ""

    @property
    def who(self) -> str:
        if not self.origin:
            return "nobody in particular: no login was found"
        return f"{self.user} (from {self.origin})" if self.user else f"the token from {self.origin}"

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.password, self.identity_token, self.registry_token)))


NOBODY = Identity()


class DockerConfig:
    """The config.json that `variables` lead to; absent is empty."""

    def __init__(self, variables: Mapping[str, str], helper_seconds: float = HELPER_SECONDS) -> None:
        self._variables = variables
        self._seconds = helper_seconds
        folder = variables.get("DOCKER_CONFIG", "")
        self.path = (Path(folder) if folder else Path(variables.get("HOME", "")) / ".docker") / "config.json"

    def identity(self, registry: str) -> Identity:
        """The login for `registry`; nobody when there is none.

        Raises:
            InputError: the file or the helper's name cannot be read.
            OutsideFailed: a helper failed.
        """
        document = self._document()
        helper = _helper(document, registry)
        if helper:
            found = self._ask_helper(helper, registry)
            if found:
                return found
        for key, entry in _entries(document.get("auths")):
            if _names(key, registry):
                found = self._of_entry(entry, registry)
                if found:
                    return found
        return NOBODY

    def _document(self) -> dict[str, Any]:
        try:
            with self.path.open("rb") as file:
                content = file.read(_LARGEST + 1)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as e:
            raise self._unreadable(e.strerror or type(e).__name__) from e
        try:
            document = json.loads(content) if len(content) <= _LARGEST else None
        except (ValueError, RecursionError):
            # Without the parser's own words: they quote the file.
            raise self._unreadable("it is not JSON") from None
        if not isinstance(document, dict):
            raise self._unreadable("it is not a JSON object of at most 1 MB")
        return document

    def _unreadable(self, why: str) -> InputError:
        return InputError(
            "Docker's config file cannot be read",
            where=str(self.path),
            why=why,
            fix="docker login writes it anew; DOCKER_CONFIG names the folder of another one",
        )

    def _of_entry(self, entry: Mapping[str, Any], registry: str) -> Identity | None:
        texts = {key: value for key, value in entry.items() if isinstance(value, str) and value}
        user, password = texts.get("username", ""), texts.get("password", "")
        if "auth" in texts:
            try:
                user, _, password = b64decode(texts["auth"], validate=True).decode().partition(":")
            except ValueError:
                raise self._unreadable(f"auth of {registry} is not base64 of USER:PASSWORD") from None
        origin = str(self.path)
        # Docker pads short passwords with zeros.
        found = Identity(
            user=user,
            password=password.strip("\0"),
            identity_token=texts.get("identitytoken", ""),
            registry_token=texts.get("registrytoken", ""),
            origin=origin,
        )
        for value in (found.user, *found.secrets):
            if any(ord(letter) < 32 for letter in value):
                raise self._unreadable(f"the login for {registry} holds characters that no login can have")
        return found if found.user or found.secrets else None

    def _ask_helper(self, name: str, registry: str) -> Identity | None:
        if not _HELPER.fullmatch(name):
            raise self._unreadable("the name of a credential helper has letters, digits, `.`, `_` and `-`")
        program = f"docker-credential-{name}"
        question = _HUB_KEY if registry in HUB_NAMES else registry
        status, answer = self._run(program, question)
        if status:
            if _NOT_FOUND.search(answer):
                return None
            raise _helper_failed(program, registry, f"it ended with status {status}", retryable=True)
        try:
            document = json.loads(answer)
            user, secret = document["Username"], document["Secret"]
        except (ValueError, RecursionError, KeyError, TypeError):
            raise _helper_failed(program, registry, "it did not answer with Username and Secret") from None
        if not isinstance(user, str) or not isinstance(secret, str):
            raise _helper_failed(program, registry, "it did not answer with texts")
        if not secret:
            return None
        if user == _TOKEN_USER:
            return Identity(identity_token=secret, origin=program)
        return Identity(user=user, password=secret, origin=program)

    def _run(self, program: str, question: str) -> tuple[int, bytes]:
        try:
            process = subprocess.Popen(
                [program, "get"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # It may print what it was given.
                stderr=subprocess.DEVNULL,
                env=without_ours(self._variables),
                start_new_session=True,
            )
        except OSError as e:
            why = "it is not installed" if isinstance(e, FileNotFoundError) else e.strerror or str(e)
            raise _helper_failed(program, question, why) from e
        with process:
            try:
                answer, _ = process.communicate(question.encode(), timeout=self._seconds)
            except BaseException as e:
                # With all that it started: that may still hold its output.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(e, subprocess.TimeoutExpired):
                    raise
                why = f"it gave no answer in {self._seconds:g} s"
                raise _helper_failed(program, question, why, retryable=True) from e
        return process.returncode, answer[:_LARGEST]


def _helper_failed(program: str, registry: str, why: str, *, retryable: bool = False) -> OutsideFailed:
    return OutsideFailed(
        f"Docker's credential helper gave no login for {registry}",
        where=program,
        why=why,
        fix=f"echo {registry} | {program} get",
        retryable=retryable,
    )


def _helper(document: Mapping[str, Any], registry: str) -> str:
    helpers = document.get("credHelpers")
    if isinstance(helpers, dict):
        for key, name in helpers.items():
            if _names(key, registry) and isinstance(name, str):
                return name
    store = document.get("credsStore")
    return store if isinstance(store, str) else ""


def _entries(auths: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(auths, dict):
        yield from ((key, entry) for key, entry in auths.items() if isinstance(entry, dict))


def _names(key: str, registry: str) -> bool:
    """Whether a key of the file means this registry: `host`, or as older clients wrote it, `https://host/v1/`."""
    host = key.removeprefix("https://").removeprefix("http://").partition("/")[0].lower()
    wanted = {name.lower() for name in (HUB_NAMES if registry in HUB_NAMES else (registry,))}
    return host in wanted
