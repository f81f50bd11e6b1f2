"""Full disks, folders without rights and folders of something else: told with path and cure, nothing left behind."""

import json
import os
import resource
import tempfile
from pathlib import Path

import pytest
from folders import read_folder, write_folder
from layout_program import MODEL, finish, start, state

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.errors import InputError, OutsideFailed


@pytest.mark.parametrize("limit", [100, 60_000, 3_000_000])
def test_a_full_disk_is_told_with_path_and_cure_and_leaves_nothing(tmp_path, model, undisturbed, limit):
    folder = tmp_path / "work"
    folder.mkdir()
    status, out = finish(start(folder, model, limit=limit))
    assert status == 5
    error = json.loads(out)
    assert error["error"] == "no space left"
    assert str(folder / "store") in error["where"]
    assert "free space" in error["fix"]
    assert "store.path" in error["fix"]
    assert list((folder / "store" / ".mmcicd" / "temporary").iterdir()) == []
    assert finish(start(folder, model))[0] == 0
    assert state(folder) == undisturbed


def test_a_disk_that_fills_while_unpacking_leaves_no_half_model(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    blobs = [layer.blob for layer in store.put_model(model).layers]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(OutsideFailed, match="no space") as error:
            store.extract(blobs, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(tmp_path) in error.value.where
    assert {path.name for path in tmp_path.iterdir()} == {"model", "store"}


def without_root(function):
    """What `function` raises when it runs as a user without rights (a child process when we are root)."""
    if os.geteuid():
        return function()
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setuid(65534)
        os.write(sending, function().encode())
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    return answer


def told(action):
    try:
        action()
    except OutsideFailed as e:
        return json.dumps(e.to_json())
    except Exception as e:  # noqa: BLE001 - the parent shows whatever it was
        return json.dumps({"error": repr(e), "where": "", "fix": ""})
    return json.dumps({"error": "", "where": "", "fix": ""})


@pytest.fixture
def open_folder():
    """A folder that a user without rights can reach; pytest keeps its own to itself."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if without_root(lambda: str(os.access(folder, os.X_OK))) != "True":
            pytest.skip(
                f"a user without rights cannot reach {folder}: set TMPDIR to a folder that all can reach"
            )
        yield folder


def test_a_folder_without_rights_is_told_with_path_and_cure(open_folder):
    model = write_folder(open_folder / "model", MODEL)
    closed = open_folder / "closed"
    closed.mkdir(mode=0o555)
    error = json.loads(without_root(lambda: told(lambda: OciLayoutStore(closed / "store").put_model(model))))
    assert error["error"] == "this folder may not be used"
    assert error["where"].startswith(str(closed))
    assert "store.path" in error["fix"]
    assert list(closed.iterdir()) == []


def test_a_layout_that_may_only_be_read_is_read(open_folder):
    store = OciLayoutStore(open_folder / "store")
    layers = store.put_model(write_folder(open_folder / "model", MODEL))
    artifact = store.put_artifact("t", "application/x", {})
    if not os.geteuid():
        answer = json.loads(without_root(lambda: told(lambda: store.put_artifact("u", "application/x", {}))))
        assert answer["error"] == "this folder may not be used"
    answer = without_root(
        lambda: json.dumps([store.find("t") == artifact, len(store.read(layers.layers[0].blob))])
    )
    assert json.loads(answer) == [True, layers.layers[0].blob.size]


def test_a_folder_of_something_else_is_not_written_to(tmp_path, model):
    mine = write_folder(tmp_path / "home", {"thesis.tex": b"precious"})
    with pytest.raises(InputError, match="something else"):
        OciLayoutStore(mine).put_model(model)
    assert read_folder(mine) == {"thesis.tex": b"precious"}


def test_a_file_in_the_place_of_the_store_is_told(tmp_path, model):
    (tmp_path / "store").write_bytes(b"x")
    with pytest.raises(OutsideFailed) as error:
        OciLayoutStore(tmp_path / "store").put_model(model)
    assert str(tmp_path / "store") in error.value.where
