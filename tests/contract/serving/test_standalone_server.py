"""A server that no environment owns: model directories, served in the foreground."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from conftest import ENVIRONMENT, eventually, read

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.serving.standalone import versions_in

CHILD = """
import sys
from pathlib import Path
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.serving.standalone import serve, versions_in
state, model, rest = sys.argv[1:]
try:
    serve(Path(state), {"m": versions_in(Path(model))}, rest_port=int(rest), grpc_port=0,
          listening=lambda port: print(port, flush=True))
except MmcicdError as e:
    sys.exit(f"{e.exit_code} {e.what} {e.fix}")
"""


def start(state, model, rest=0):
    command = [sys.executable, "-c", CHILD, str(state), str(model), str(rest)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


@pytest.mark.tensorflow
def test_a_directory_of_versions_is_served_until_it_is_told_to_end(models, tmp_path):
    process = start(tmp_path / "state", models / "scaled")
    eventually(lambda: read(tmp_path / "state" / "server.json"), 120)
    eventually(lambda: read(tmp_path / "state" / "actual.json")["models"]["m"]["serving"] == [1, 2, 3])
    rest = read(tmp_path / "state" / "server.json")["rest_port"]
    assert process.stdout.readline() == f"{rest}\n"
    curl = ["curl", "-sS", "-d", '{"instances": [[1, 1]]}', f"http://127.0.0.1:{rest}/v1/models/m:predict"]
    assert json.loads(subprocess.check_output(curl)) == {"predictions": [[3.0, 3.0]]}
    second = start(tmp_path / "state", models / "scaled")
    assert "75 a server runs on this state already" in second.communicate(timeout=60)[1]
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_taken_port_names_the_option(tmp_path, models_of_nothing):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process = start(tmp_path / "state", models_of_nothing, port)
        said = process.communicate(timeout=60)[1]
    assert f"5 port {port} on 127.0.0.1 is taken" in said
    assert "--rest-port" in said
    assert read(tmp_path / "state" / "server.json")["what"] == f"port {port} on 127.0.0.1 is taken"


@pytest.fixture
def models_of_nothing(tmp_path):
    """A version whose loading is never reached."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"")
    return folder


def test_versions_are_numbered_folders_or_the_folder_itself(tmp_path, models_of_nothing):
    assert versions_in(models_of_nothing) == {1: models_of_nothing}
    for name in ("7", "12", "0", "next", "²"):
        (tmp_path / "many" / name).mkdir(parents=True)
    assert set(versions_in(tmp_path / "many")) == {7, 12}
    for nothing in (tmp_path / "absent", tmp_path / "many" / "7"):
        with pytest.raises(InputError, match="no SavedModel"):
            versions_in(nothing)
