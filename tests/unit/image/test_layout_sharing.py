"""Several processes in one layout, killed ones, full disks and folders without rights.

The same command again always ends in the same state, and only that.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from folders import SAVED_MODEL, read_folder, write_folder

from mmcicd_jenkins.adapters.oci_layout import OciLayoutStore
from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.failpoints import FAILPOINTS
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.manifest import BaseImage, Origin, join
from mmcicd_jenkins.image.version_layer import version_layer

PROGRAM = Path(__file__).with_name("store_all.py")
MODEL = SAVED_MODEL | {"variables/weights": bytes(range(256)) * 20_000}


def image_of(layers, version):
    """Config, manifest and further blobs of an image."""
    blob, layer = version_layer("churn", version)
    origin = Origin(
        model="churn", version=version, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=10**9
    )
    image = join(BaseImage(), layers, layer, origin)
    return image.config, image.manifest, [blob]


@pytest.fixture
def model(tmp_path):
    return write_folder(tmp_path / "model", MODEL)


def start(folder, model, limit=None, **variables):
    return subprocess.Popen(
        [sys.executable, PROGRAM, folder / "store", model, folder / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"MMCICD_TESTING": "1"} | variables,
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None,  # noqa: PLW1509
    )


def finish(process):
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, out.strip()


def state(folder):
    """All that another run, tool or person can see; the cache and the lock are not part of it."""
    found = read_folder(folder)
    return {path: data for path, data in found.items() if not path.startswith("store/.mmcicd/layers/")}


@pytest.fixture
def undisturbed(tmp_path, model):
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    assert finish(start(folder, model))[0] == 0
    return state(folder)


def test_the_state_after_a_good_run_is_the_layout_and_nothing_else(undisturbed):
    assert {path for path in undisturbed if not path.startswith(("store/blobs/sha256/", "out/"))} == {
        "store/oci-layout",
        "store/index.json",
        "store/.mmcicd/lock",
        "store/.mmcicd/temporary",
    }
    assert {
        path.removeprefix("out/"): data for path, data in undisturbed.items() if path.startswith("out/")
    } == MODEL


def failpoints_and_visits():
    blobs = [("store.blob-written", visit) for visit in range(1, 9)]
    tags = [(name, visit) for name in ("store.before-tag", "store.after-tag") for visit in (1, 2)]
    return [*blobs, *tags, ("store.unpacked", 1)]


@pytest.mark.parametrize(("name", "visit"), failpoints_and_visits())
def test_killed_anywhere_and_run_again_ends_the_same(tmp_path, model, undisturbed, name, visit):
    assert name in FAILPOINTS
    folder = tmp_path / "work"
    folder.mkdir()
    status, _ = finish(start(folder, model, MMCICD_FAILPOINTS=f"{name}:{visit}=kill"))
    assert status == -signal.SIGKILL
    assert finish(start(folder, model))[0] == 0
    assert state(folder) == undisturbed


def test_killed_while_writing_a_blob_leaves_only_what_the_next_run_removes(tmp_path, model, undisturbed):
    folder = tmp_path / "work"
    folder.mkdir()
    assert finish(start(folder, model, SIGNAL_WHILE_READING="SIGKILL"))[0] == -signal.SIGKILL
    assert os.listdir(folder / "store" / "blobs" / "sha256") == []  # noqa: PTH208
    assert len(list((folder / "store" / ".mmcicd" / "temporary").iterdir())) == 1
    assert finish(start(folder, model))[0] == 0
    assert state(folder) == undisturbed


def test_processes_at_once_with_the_same_layers_end_the_same(tmp_path, model, undisturbed):
    folder = tmp_path / "work"
    (folder / "away").mkdir(parents=True)
    processes = []
    for number in range(4):
        process = subprocess.Popen(
            [sys.executable, PROGRAM, folder / "store", model, folder / "away" / str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
    answers = {finish(process) for process in processes}
    assert len(answers) == 1
    assert answers.pop()[0] == 0
    for number in range(4):
        assert read_folder(folder / "away" / str(number)) == dict(sorted(MODEL.items()))
    store = {path: data for path, data in state(folder).items() if path.startswith("store/")}
    expected = {path: data for path, data in undisturbed.items() if path.startswith("store/")}
    # The order of the two tags is a matter of who came first.
    for one in (store, expected):
        index = json.loads(one.pop("store/index.json"))
        one["index"] = sorted(index["manifests"], key=json.dumps)
    assert store == expected


def test_a_stopped_writer_keeps_its_file_while_another_run_cleans_up(tmp_path, model):
    folder = tmp_path / "work"
    folder.mkdir()
    slow = start(folder, model, SIGNAL_WHILE_READING="SIGSTOP")
    os.waitpid(slow.pid, os.WUNTRACED)
    assert finish(start(folder, model))[0] == 0
    slow.send_signal(signal.SIGCONT)
    assert finish(slow)[0] == 0


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


@pytest.mark.parametrize(
    "index", [b"", b"{", b"[]", b"{}", b'{"manifests":[1]}', b'{"manifests":{}}', b"\xff"]
)
def test_an_index_that_cannot_be_read_is_told_and_kept(tmp_path, model, index):
    store = OciLayoutStore(tmp_path / "store")
    store.put_model(model)
    (tmp_path / "store" / "index.json").write_bytes(index)
    with pytest.raises(IntegrityFailed):
        store.find("t")
    with pytest.raises(IntegrityFailed) as error:
        store.put_artifact("t", "application/x", {})
    assert error.value.where.endswith("index.json")
    assert (tmp_path / "store" / "index.json").read_bytes() == index


def test_what_other_tools_wrote_into_the_index_stays(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    store.put_artifact("t", "application/x", {})
    index = json.loads((tmp_path / "store" / "index.json").read_text())
    foreign = {
        "mediaType": "application/x",
        "digest": "sha256:" + "0" * 64,
        "size": 1,
        "annotations": {"a": "b"},
    }
    index |= {"annotations": {"by": "another"}, "manifests": [foreign, *index["manifests"]]}
    (tmp_path / "store" / "index.json").write_text(json.dumps(index))
    store.put_artifact("u", "application/x", {"n": 1})
    after = json.loads((tmp_path / "store" / "index.json").read_text())
    assert after["annotations"] == {"by": "another"}
    assert after["manifests"][0] == foreign
    assert len(after["manifests"]) == 3


def test_what_a_killed_process_left_of_one_folder_is_removed_by_the_next(tmp_path, model):
    (tmp_path / "work").mkdir()
    killed = start(tmp_path / "work", model, MMCICD_FAILPOINTS="store.unpacked=kill")
    assert finish(killed)[0] == -signal.SIGKILL
    assert len(list((tmp_path / "work").iterdir())) == 2
    store = OciLayoutStore(tmp_path / "work" / "store")
    store.extract([layer.blob for layer in store.put_model(model).layers], tmp_path / "work" / "other")
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"store", "other"}


def test_unpacking_the_same_twice_at_once_keeps_the_first(tmp_path, model):
    (tmp_path / "work").mkdir()
    slow = start(tmp_path / "work", model, MMCICD_FAILPOINTS="store.unpacked=stop")
    os.waitpid(slow.pid, os.WUNTRACED)
    assert finish(start(tmp_path / "work", model))[0] == 0
    inode = (tmp_path / "work" / "out").stat().st_ino
    slow.send_signal(signal.SIGCONT)
    status, out = finish(slow)
    assert status == 3
    assert "empty folder" in json.loads(out)["error"]
    assert (tmp_path / "work" / "out").stat().st_ino == inode
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"store", "out"}


def test_a_layout_that_lacks_parts_gets_them(tmp_path, model):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    OciLayoutStore(tmp_path / "store").put_model(model)
    OciLayoutStore(tmp_path / "store").put_artifact("t", "application/x", {})
    assert OciLayoutStore(tmp_path / "store").find("t")


def test_a_list_of_images_for_several_platforms_is_told(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    store.put_model(model)
    content = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    digest = digest_bytes(content)
    (tmp_path / "store" / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(content)
    with pytest.raises(InputError, match="several platforms"):
        store.find(digest)


def test_a_tag_moved_to_and_fro_leaves_one_entry_for_each_image(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    layers = store.put_model(model)
    for version in (1, 2, 1, 2, 2):
        store.put_image("churn", *image_of(layers, version))
    entries = json.loads((tmp_path / "store" / "index.json").read_text())["manifests"]
    assert len({entry["digest"] for entry in entries}) == len(entries) == 2
