"""The two ports of a server: taken before the seconds that TensorFlow's import takes, or refused with the key to change."""

import errno
import socket

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.release.desired import Desired


def take_ports(desired: Desired) -> socket.socket:
    """The REST socket, bound. The gRPC port is only tried: its library binds by itself, later.

    Raises:
        OutsideFailed: a port or the address cannot be had.
    """
    listener = _bind(desired, desired.rest_port, "rest_port")
    try:
        _bind(desired, desired.grpc_port, "grpc_port").close()
    except OutsideFailed:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _bind(desired: Desired, port: int, key: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in desired.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    # A port whose last connections still linger is free all the same.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((desired.host, port))
    except OSError as e:
        made.close()
        raise cannot_listen(desired, port, key, e.errno) from e
    return made


def cannot_listen(desired: Desired, port: int, key: str, number: int | None) -> OutsideFailed:
    """The one sentence about a port or an address that cannot be had."""
    where = f"{desired.host}:{port}"
    if number == errno.EADDRINUSE:
        return OutsideFailed(
            f"port {port} on {desired.host} is taken",
            where=where,
            why="another program listens there",
            fix=f"stop that program (the server of another repository here: mmcicd-jenkins stop, in its folder), "
            f"or set {_setting(desired, key)} to a free port",
        )
    if number == errno.EACCES:
        return OutsideFailed(
            f"port {port} on {desired.host} may not be used",
            where=where,
            why="this user may not listen on it; ports below 1024 need root",
            fix=f"set {_setting(desired, key)} to a port above 1023",
        )
    return OutsideFailed(
        f"the server cannot listen on {desired.host}",
        where=where,
        why="this machine does not have that address",
        fix=f"set {_setting(desired, 'host')} to an address of this machine, or to 127.0.0.1",
    )


def _setting(desired: Desired, key: str) -> str:
    return (
        f"environments.{desired.environment}.{key}" if desired.environment else f"--{key.replace('_', '-')}"
    )
