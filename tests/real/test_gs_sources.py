"""Google's storage by the real gcsfs, against an emulator of its API: read, locked, gone, a folder, what is not there."""

import importlib.util
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.data.sources import FsspecSources
from mmcicd_jenkins.errors import InputError, IntegrityFailed

SERVER = shutil.which("gcp-storage-emulator")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        importlib.util.find_spec("gcsfs") is None, reason="gcsfs is missing: pip install 'mmcicd-jenkins[gs]'"
    ),
    pytest.mark.skipif(
        SERVER is None, reason="gcp-storage-emulator is missing: pipx install gcp-storage-emulator"
    ),
    # gcsfs and its libraries are not ours to mend.
    pytest.mark.filterwarnings("default"),
]
TABLE = b"id,y\n" + b"".join(b"%d,%d\n" % (i, i % 2) for i in range(100_000))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[object]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [SERVER, "start", "-H", "127.0.0.1", "--port", str(port), "-M", "--default-bucket", "acme"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    # The emulator speaks JSON over http; newer gcsfs would ask what kind of bucket it is by gRPC.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    import gcsfs

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/storage/v1/b", timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    gcsfs.GCSFileSystem.clear_instance_cache()
    yield gcsfs.GCSFileSystem(endpoint_url=address, token="anon")
    gcsfs.GCSFileSystem.clear_instance_cache()
    server.terminate()
    server.wait(timeout=30)


def sources(folder: Path) -> FsspecSources:
    return FsspecSources(folder, sleep=lambda _: None)


def test_a_table_is_read_and_locked_and_a_change_is_told(bucket, tmp_path: Path) -> None:
    url = "gs://acme/churn/customers.csv"
    bucket.pipe("acme/churn/customers.csv", TABLE)
    facts = sources(tmp_path / "one").look(url, "y")
    assert (facts.rows, facts.label_counts) == (100_000, {"0": 50_000, "1": 50_000})
    fetched = sources(tmp_path / "one").fetch(url, facts.digest, lambda *_: None, version=facts.version)
    assert fetched.read_bytes() == TABLE
    bucket.pipe("acme/churn/customers.csv", b"id,y\n1,2\n")
    # The emulator keeps no older generations, as a bucket without versions.
    with pytest.raises(IntegrityFailed, match="no longer holds"):
        sources(tmp_path / "two").fetch(url, facts.digest, lambda *_: None, version=facts.version)


def test_folders_and_what_is_not_there(bucket, tmp_path: Path) -> None:
    for kind in "ab":
        for i in range(5):
            bucket.pipe(f"acme/img/{kind}/{i}.png", f"{kind}{i}".encode())
    facts = sources(tmp_path).look("gs://acme/img/")
    assert (facts.files, facts.label_counts) == (10, {"a": 5, "b": 5})
    for url in ("gs://acme/none.csv", "gs://no-such-bucket/x.csv"):
        with pytest.raises(InputError, match="no such data source"):
            sources(tmp_path).look(url)
