"""Logins that a program or an identity provider gives: asked in a process of its own, with a deadline.

There the `kubernetes` library speaks with them (`plugin`): its import costs more than a deploy, and it waits for a
plugin for ever. The request and the answer go through pipes that only the two processes have.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mmcicd_jenkins.adapters.kubernetes.kubeconfig import Kubeconfig
from mmcicd_jenkins.adapters.kubernetes.login import Credentials, bearer
from mmcicd_jenkins.errors import InputError, OutsideFailed

# A plugin of a cloud asks its servers; one that asks a person needs longer.
ALONE_SECONDS = 60.0
WITH_A_PERSON_SECONDS = 300.0
# A token is renewed this long before it ends, so that no request meets its end.
_EARLY_SECONDS = 30.0
_SHOWN = 400


def ask_plugin(config: Kubeconfig, variables: Mapping[str, str], seconds: float = 0.0) -> Credentials:
    """What the plugin or identity provider of this user answers.

    Raises:
        InputError: there is no such plugin, or it answers what is not a login.
        OutsideFailed: it failed, or did not end.
    """
    request = _request(config)
    interactive = sys.stderr.isatty() and sys.stdin is not None and sys.stdin.isatty()
    status, answer, said = _run(
        json.dumps(request).encode(),
        dict(variables),
        seconds or (WITH_A_PERSON_SECONDS if interactive else ALONE_SECONDS),
        interactive=interactive,
    )
    if status:
        raise OutsideFailed(
            "the login for the cluster could not be had",
            where=f"{config.user.name} of {config.where}",
            why=_told(answer, said) or f"the plugin's process ended with {status}",
            fix=_hint(config) or "run the plugin by hand: kubectl auth whoami",
            retryable=True,
        )
    return _credentials(json.loads(answer), config)


def _request(config: Kubeconfig) -> dict[str, Any]:
    plugin = config.user.values.get("exec")
    if plugin is not None:
        # Its certificates are long, and few plugins ask for them.
        wants = isinstance(plugin, dict) and plugin.get("provideClusterInfo")
        cluster = dict(config.cluster.values) if wants else {}
        return {"exec": plugin, "cluster": cluster, "folder": str(config.user.folder)}
    return {"kubeconfig": config.where, "context": config.context}


def _run(
    request: bytes, variables: dict[str, str], seconds: float, *, interactive: bool
) -> tuple[int, bytes, bytes]:
    """Its status, the answer and what it said; a process that did not end is ended with all that it started."""
    ours, theirs = os.pipe()
    # Only a terminal that a person sits at is shared: there a plugin asks for a code.
    output = None if interactive else subprocess.PIPE
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "mmcicd_jenkins.adapters.kubernetes.plugin", str(theirs)],
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=sys.stderr if interactive else subprocess.DEVNULL,
            stderr=output,
            env={**variables, "MMCICD_PLUGIN_REQUEST": request.decode()},
            pass_fds=(theirs,),
            start_new_session=not interactive,
        )
    finally:
        os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        try:
            _, said = child.communicate(timeout=seconds)
        except BaseException as e:
            _end(child, interactive=interactive)
            if isinstance(e, subprocess.TimeoutExpired):
                return 1, b"", f"the plugin did not end within {seconds:.0f} s".encode()
            raise
        return child.returncode, pipe.read(1_048_576), said or b""


def _end(child: subprocess.Popen[bytes], *, interactive: bool) -> None:
    if interactive:
        child.terminate()
    else:
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def _told(answer: bytes, said: bytes) -> str:
    """Why it failed: the plugin's own words, which are its last on stderr."""
    text = (answer or said).decode("utf-8", "replace")
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[-_SHOWN:]


def _hint(config: Kubeconfig) -> str:
    plugin = config.user.values.get("exec")
    hint = plugin.get("installHint") if isinstance(plugin, dict) else ""
    return " ".join(hint.split())[:_SHOWN] if isinstance(hint, str) else ""


def _credentials(answer: Mapping[str, Any], config: Kubeconfig) -> Credentials:
    token, certificate, key = (answer.get(name) or "" for name in ("token", "certificate", "key"))
    if not token and not (certificate and key):
        raise InputError(
            "the plugin gives no login",
            where=f"{config.user.name} of {config.where}",
            why="neither a token nor a certificate with its key",
        )
    return Credentials(
        authorization=bearer(token, config.user.name) if token else "",
        certificate=f"{certificate}\n{key}".encode() if certificate and key else b"",
        until=_until(answer.get("until") or ""),
    )


def _until(text: str) -> float:
    try:
        ends = datetime.fromisoformat(text).timestamp()
    except ValueError:
        return float("inf")
    # One that ends at once would be asked for with every request.
    return max(ends - _EARLY_SECONDS, time.time() + 1.0)
