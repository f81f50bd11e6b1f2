"""S3 with object versions, by the real s3fs against the server of moto."""

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

SERVER = shutil.which("moto_server")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        importlib.util.find_spec("s3fs") is None, reason="s3fs is missing: pip install 'mmcicd-jenkins[s3]'"
    ),
    # In an environment of its own: moto and s3fs want different versions of the same library.
    pytest.mark.skipif(SERVER is None, reason="moto_server is missing: pipx install 'moto[server,s3]'"),
    # s3fs and its libraries are not ours to mend.
    pytest.mark.filterwarnings("default"),
]
OLD = b"id,y\n" + b"".join(b"%d,%d\n" % (i, i % 2) for i in range(300_000))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[object]:
    import s3fs

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([SERVER, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    for name, value in {
        "ACCESS_KEY_ID": "x",
        "SECRET_ACCESS_KEY": "y",
        "DEFAULT_REGION": "us-east-1",
        "ENDPOINT_URL": address,
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    s3fs.S3FileSystem.clear_instance_cache()
    storage = s3fs.S3FileSystem(endpoint_url=address)
    storage.mkdir("acme")
    storage.call_s3("put_bucket_versioning", Bucket="acme", VersioningConfiguration={"Status": "Enabled"})
    yield storage
    s3fs.S3FileSystem.clear_instance_cache()
    server.terminate()
    server.wait(timeout=30)


def sources(folder: Path) -> FsspecSources:
    return FsspecSources(folder, sleep=lambda _: None)


def test_the_locked_version_stays_readable_after_an_overwrite(bucket, tmp_path: Path) -> None:
    url = "s3://acme/churn/customers.csv"
    bucket.pipe("acme/churn/customers.csv", OLD)
    facts = sources(tmp_path / "one").look(url, "y")
    assert (facts.rows, facts.label_counts) == (300_000, {"0": 150_000, "1": 150_000})
    assert facts.version
    bucket.pipe("acme/churn/customers.csv", b"id,y\n1,2\n")
    fetched = sources(tmp_path / "two").fetch(url, facts.digest, lambda *_: None, version=facts.version)
    assert fetched.read_bytes() == OLD
    for version in ("", "gone"):
        with pytest.raises(IntegrityFailed, match="no longer holds"):
            sources(tmp_path / "three").fetch(url, facts.digest, lambda *_: None, version=version)


def test_folders_and_what_is_not_there(bucket, tmp_path: Path) -> None:
    for kind in "ab":
        for i in range(12):
            bucket.pipe(f"acme/img/{kind}/{i}.png", f"{kind}{i}".encode())
    facts = sources(tmp_path).look("s3://acme/img/")
    assert (facts.files, facts.label_counts) == (24, {"a": 12, "b": 12})
    for url in ("s3://acme/none.csv", "s3://no-such-bucket/x.csv"):
        with pytest.raises(InputError, match="no such data source"):
            sources(tmp_path).look(url)
