"""The way to a Docker engine: as the `docker` command finds it, and in our words why there is none.

DOCKER_HOST with its TLS variables first, then Docker's current context, then the socket of this machine.
"""

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mmcicd_jenkins.errors import InputError, OutsideFailed

if TYPE_CHECKING:
    from docker import APIClient

# An engine on this machine answers at once; one that hangs must not hang a build for an hour.
FIRST_ANSWER_SECONDS = 20
# Of what an engine says in an error.
SHOWN = 256


def connect(variables: Mapping[str, str]) -> "APIClient":
    """The SDK's client.

    Raises:
        OutsideFailed: no engine answers, or we may not ask it.
        InputError: it cannot be reached as it is named.
    """
    try:
        import docker
        from docker.errors import DockerException
    except ImportError as e:
        raise InputError("an engine is driven by the package docker", fix="pip install docker") from e
    _knock(variables.get("DOCKER_HOST") or _of_context())
    try:
        client = docker.from_env(environment=dict(variables), version="auto", timeout=FIRST_ANSWER_SECONDS)
    except (DockerException, OSError, ValueError) as e:
        raise _no_engine(e, variables.get("DOCKER_HOST", "")) from e
    return client.api


def _of_context() -> str:
    """The address in Docker's current context; "" where that cannot be read, which the SDK will tell."""
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        return str(ContextAPI.get_current_context().Host or "")
    except (DockerException, AttributeError, OSError, ValueError):
        return ""


def _knock(host: str) -> None:
    """Whether anybody listens at a socket of this machine: the SDK tells that in the text of its errors only.

    Raises:
        OutsideFailed: nobody, or we may not.
    """
    path = host.removeprefix("unix://").removeprefix("http+unix://")
    if path == host or not path.startswith("/"):
        return
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(FIRST_ANSWER_SECONDS)
            door.connect(path)
    except PermissionError as e:
        raise OutsideFailed(
            "this user may not use the Docker engine",
            where=host,
            why="the socket belongs to root and the group docker",
            fix="add the user to the group docker and log in again, or run a rootless engine and set DOCKER_HOST",
        ) from e
    except OSError as e:
        raise _absent(host) from e


def _absent(where: str) -> OutsideFailed:
    return OutsideFailed(
        "there is no Docker engine",
        where=where,
        why="nothing listens there",
        fix="start it (systemctl start docker), or name another one: DOCKER_HOST=unix:///... or tcp://...",
    )


def _no_engine(error: BaseException, host: str) -> OutsideFailed | InputError:
    """Why there is no engine: the SDK tells it as the text of an exception in an exception."""
    said = str(error)
    where = host or "the Docker engine of this machine"
    if "too old" in said or "is less than" in said or "minimum" in said.lower():
        return OutsideFailed(
            "the Docker engine is too old", where=where, why=said[:SHOWN], fix="upgrade Docker there"
        )
    if "paramiko" in said:
        return InputError(
            "an engine behind ssh needs one more package", where=where, fix="pip install 'docker[ssh]'"
        )
    if "TLS" in said or "Invalid bind address" in said or "cert" in said.lower():
        return InputError(
            "the Docker engine cannot be reached as it is named",
            where=where,
            why=said[:SHOWN],
            fix="correct DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH: `docker version` must work",
        )
    if "Connection refused" in said or "ConnectionRefused" in said:
        return _absent(where)
    return OutsideFailed("the Docker engine does not answer", where=where, why=said[:SHOWN], retryable=True)
