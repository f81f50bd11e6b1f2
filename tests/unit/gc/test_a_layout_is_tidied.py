"""A real layout on disk: what leaves the index, which bytes are freed, and what writers at the same moment meet."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mmcicd_jenkins.adapters.layout.keeper import LayoutKeeper
from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image.descriptor import Descriptor

KIND = "application/vnd.mmcicd.run.v1+json"
LATER = 3600.0


@pytest.fixture
def place(tmp_path):
    """A store with two runs that share one layer and have one each."""
    for name in ("first", "second"):
        model = tmp_path / name
        model.mkdir()
        (model / "weights").write_bytes(b"shared" * 300_000)
        (model / "head").write_bytes(name.encode() * 200_000)
        store(tmp_path, model, f"run-{name}")
    return tmp_path


def open_store(base):
    return OciLayoutStore(base / "store")


def store(base, model, tag):
    layers = open_store(base).put_model(model)
    return open_store(base).put_artifact(
        tag, KIND, {"model": "m", "run_id": tag}, layers=[layer.blob for layer in layers.layers]
    )


def blobs(base):
    return {path.name for path in (base / "store/blobs/sha256").iterdir()}


def age(base, seconds=2 * 86400):
    for path in (base / "store/blobs/sha256").iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def named(base, tag):
    (found,) = [each for each in LayoutKeeper(base / "store").holdings() if each.tags == (tag,)]
    return found


def test_what_the_store_holds(place):
    held = named(place, "run-first")
    assert (held.kind, held.document, held.place) == (KIND, {"model": "m", "run_id": "run-first"}, "")
    assert len(held.blobs) == 3
    assert abs(held.touched - time.time()) < 600


def test_only_bytes_that_nothing_names_are_freed(place):
    keeper = LayoutKeeper(place / "store")
    first, second = named(place, "run-first"), named(place, "run-second")
    assert keeper.remove([first]) == (first,)
    assert keeper.sweep(time.time() - LATER).blobs == 0, "all of it is young"
    age(place)
    swept = keeper.sweep(time.time() - LATER)
    own = {*first.blobs, first.digest} - {*second.blobs, second.digest}
    assert swept.blobs == len(own)
    assert swept.size > 1_000_000
    assert blobs(place) == {digest.removeprefix("sha256:") for digest in (*second.blobs, second.digest)}
    open_store(place).extract(open_store(place).find("run-second").layers, place / "out")
    assert keeper.remove([first]) == (first,), "gone is gone"
    assert keeper.sweep(time.time()).blobs == 0


def test_one_that_got_another_name_is_left(place):
    first = named(place, "run-first")
    index = place / "store/index.json"
    document = json.loads(index.read_text())
    again = json.loads(json.dumps(document["manifests"][0]))
    again["annotations"]["org.opencontainers.image.ref.name"] = "mine"
    document["manifests"].append(again)
    index.write_text(json.dumps(document))
    assert LayoutKeeper(place / "store").remove([first]) == ()
    assert len(json.loads(index.read_text())["manifests"]) == 3


def test_what_others_put_there_stays_with_its_bytes(place):
    layout = place / "store"
    known = open_store(place).find("run-first").manifest
    theirs = {"mediaType": known.media_type, "digest": known.digest, "size": known.size, "annotations": {"org.opencontainers.image.ref.name": "theirs"}}  # fmt: skip
    index = layout / "index.json"
    index.write_text(json.dumps({"schemaVersion": 2, "manifests": [theirs]}))
    (layout / "blobs/sha256/README").write_text("mine")
    age(place)
    LayoutKeeper(layout).sweep(time.time())
    assert open_store(place).find("theirs").document["run_id"] == "run-first"
    assert "README" in blobs(place)


@pytest.mark.parametrize("damage", ["gone", "cut", "garbage"])
def test_while_something_cannot_be_read_no_bytes_are_freed(place, damage):
    keeper = LayoutKeeper(place / "store")
    keeper.remove([named(place, "run-first")])
    second = named(place, "run-second")
    blob = place / "store/blobs/sha256" / second.digest.removeprefix("sha256:")
    if damage == "gone":
        blob.unlink()
    else:
        blob.write_bytes(b"{" if damage == "cut" else b"x" * second.size)
    assert named(place, "run-second").kind == ""
    age(place)
    before = blobs(place)
    swept = keeper.sweep(time.time())
    assert second.digest in swept.why_not
    assert blobs(place) == before


def test_a_writer_that_takes_up_forgotten_bytes_keeps_them(place):
    """A run is trained anew with the same bytes while gc is at work: its blob is old, and nothing names it."""
    keeper = LayoutKeeper(place / "store")
    keeper.remove([named(place, "run-first"), named(place, "run-second")])
    age(place)
    before = time.time() - LATER
    layers = open_store(place).put_model(place / "first")  # found, not written
    keeper.sweep(before)
    document = {"model": "m", "run_id": "again"}
    open_store(place).put_artifact("run-again", KIND, document, layers=[each.blob for each in layers.layers])
    open_store(place).extract(open_store(place).find("run-again").layers, place / "out")
    assert (place / "out/head").read_bytes() == (place / "first/head").read_bytes()


def test_an_index_never_names_bytes_that_are_gone(place):
    lost = Descriptor(media_type="application/octet-stream", digest="sha256:" + "0" * 64, size=3)
    before = (place / "store/index.json").read_bytes()
    with pytest.raises(IntegrityFailed, match="does not hold"):
        open_store(place).put_artifact("run-x", KIND, {}, layers=[lost])
    assert (place / "store/index.json").read_bytes() == before


def test_an_empty_place_has_nothing(tmp_path):
    keeper = LayoutKeeper(tmp_path / "none")
    assert list(keeper.holdings()) == []
    assert keeper.remove([]) == ()
    assert keeper.sweep(time.time()).blobs == 0
    assert not (tmp_path / "none").exists()


SWEEP = """
import sys, time
from pathlib import Path
from mmcicd_jenkins.adapters.layout.keeper import LayoutKeeper
keeper = LayoutKeeper(Path(sys.argv[1]))
keeper.remove([each for each in keeper.holdings() if each.tags == ("run-first",)])
print(keeper.sweep(time.time() - 3600).blobs)
"""


@pytest.mark.parametrize("place_to_die", ["gc.blob-freed:1", "gc.blob-freed:2"])
def test_killed_while_freeing_the_same_again_frees_the_rest(place, place_to_die):
    second = named(place, "run-second")
    age(place)
    command = [sys.executable, "-c", SWEEP, str(place / "store")]
    variables = {**os.environ, "MMCICD_TESTING": "1", "MMCICD_FAILPOINTS": f"{place_to_die}=kill"}
    assert subprocess.run(command, env=variables, check=False).returncode == -signal.SIGKILL
    subprocess.run(command, check=True, capture_output=True)
    assert blobs(place) == {digest.removeprefix("sha256:") for digest in (*second.blobs, second.digest)}
    assert not list((place / "store/.mmcicd").glob("freed-*"))


def test_many_writers_and_a_sweeper(place):
    """Nobody ends with a name for bytes that are gone. A writer may lose bytes that it did not touch in time, and say so."""
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from mmcicd_jenkins.adapters.layout.store import OciLayoutStore\n"
        "store = OciLayoutStore(Path(sys.argv[1]))\n"
        "for n in range(15):\n"
        "    model = Path(sys.argv[2]) / f'{sys.argv[3]}-{n % 3}'\n"
        "    model.mkdir(exist_ok=True)\n"
        "    (model / 'weights').write_bytes(f'{n % 3}'.encode() * 1_100_000)\n"
        "    layers = store.put_model(model)\n"
        "    store.put_artifact(f'run-{sys.argv[3]}-{n}', 'application/vnd.mmcicd.run.v1+json', {'n': n},\n"
        "        layers=[each.blob for each in layers.layers])\n"
    )
    work = place / "work"
    work.mkdir()
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(place / "store"), str(work), str(n)])
        for n in range(2)
    ]
    keeper = LayoutKeeper(place / "store")
    while any(writer.poll() is None for writer in writers):
        mine = [each for each in keeper.holdings() if each.tags and each.tags[0].endswith(("-4", "-7"))]
        keeper.remove(mine)
        keeper.sweep(time.time() - 0.2)
        time.sleep(0.05)
    assert [writer.returncode for writer in writers] == [0, 0]
    keeper.sweep(time.time() - 0.2)
    for each in keeper.holdings():
        assert each.kind
        for blob, size in each.blobs.items():
            assert (place / "store/blobs/sha256" / blob.removeprefix("sha256:")).stat().st_size == size
