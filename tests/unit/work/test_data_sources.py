"""Data sources: looked at, fetched and divided. Real files and a real HTTP server that misbehaves.

We test these aspects: facts of tables and folders; malformed tables told by line; fetching by digest with
resume, changed bytes, full disks; the division, which is the same everywhere; hostile names.
"""

import contextlib
import gzip
import hashlib
import os
import random
import resource
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from mmcicd_jenkins.adapters.data.sources import FsspecSources
from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.ports import Column, SourceFacts

TABLE = b"""id,age,income,city,churned\r
1,31,1200.5,Oslo,no\r
2,,NA,"Rio, RJ",yes\r
3,64,-3,Oslo,no\r
4,29,1e3,,no"""


def sources(tmp_path: Path) -> FsspecSources:
    return FsspecSources(tmp_path / "cache", sleep=lambda _: None)


def look(tmp_path: Path, content: bytes, name: str = "t.csv", label: str = "") -> SourceFacts:
    (tmp_path / name).write_bytes(content)
    return sources(tmp_path).look(str(tmp_path / name), label)


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def nothing(_done: int, _total: int) -> None:
    pass


COLUMNS = (
    Column(name="id", kind="integer", low=1, high=4),
    Column(name="age", kind="integer", missing=1, low=29, high=64),
    Column(name="income", kind="number", missing=1, low=-3, high=1200.5),
    Column(name="city", kind="text", missing=1, values=("Oslo", "Rio, RJ")),
    Column(name="churned", kind="text", values=("no", "yes")),
)


def test_the_facts_of_a_table(tmp_path: Path) -> None:
    facts = look(tmp_path, TABLE, label="churned")
    assert facts == SourceFacts(
        digest=sha256(TABLE),
        size=len(TABLE),
        files=1,
        rows=4,
        columns=COLUMNS,
        label_counts={"no": 3, "yes": 1},
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv.gz", gzip.compress(TABLE, mtime=0)),
        ("t.tsv", TABLE.replace(b'"Rio, RJ"', b"Rio| RJ").replace(b",", b"\t").replace(b"|", b",")),
        ("t.csv", b"\xef\xbb\xbf" + TABLE),
        ("t.csv", TABLE.replace(b"\r\n", b"\n\n")),
    ],
    ids=["gzip", "tabs", "byte-order-mark", "empty-lines"],
)
def test_the_same_table_in_other_clothes(tmp_path: Path, name: str, content: bytes) -> None:
    facts = look(tmp_path, content, name, label="churned")
    assert (facts.rows, facts.columns, facts.digest) == (4, COLUMNS, sha256(content))


def test_json_lines(tmp_path: Path) -> None:
    content = b'{"a": 1, "b": true}\n\n{"a": 2.5, "c": [1]}\n{"b": null, "a": null}\n'
    facts = look(tmp_path, content, "t.jsonl", label="b")
    assert facts.rows == 3
    assert facts.columns == (
        Column(name="a", kind="number", missing=1, low=1, high=2.5),
        Column(name="b", kind="text", missing=2, values=("true",)),
        Column(name="c", kind="text", missing=2, values=("[1]",)),
    )
    assert facts.label_counts == {"true": 1}


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'mmcicd-jenkins[parquet]'")
    import pyarrow as pa

    columns = {"n": [1, 2, None], "f": [1.0, float("nan"), 3.0], "t": ["a", "b", "a"]}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    facts = sources(tmp_path).look(str(tmp_path / "t.parquet"), "t")
    assert facts.columns == (
        Column(name="n", kind="integer", missing=1, low=1, high=2),
        Column(name="f", kind="number", missing=1, low=1, high=3),
        Column(name="t", kind="text", values=("a", "b")),
    )
    assert facts.label_counts == {"a": 2, "b": 1}
    parquet.write_table(pa.table({"t": [str(i % 40) for i in range(400)]}), tmp_path / "t.parquet")
    split = sources(tmp_path).split(
        tmp_path / "t.parquet", tmp_path / "parts", test_size=0.5, group_by="t", salt="s"
    )
    parts = [set(parquet.read_table(p).column("t").to_pylist()) for p in (split.train, split.test)]
    assert parts[0].isdisjoint(parts[1])
    assert len(parts[0] | parts[1]) == 40
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match="not a Parquet file"):
        sources(tmp_path).look(str(tmp_path / "t.parquet"))


def test_identifiers_text_and_quantities_keep_no_values(tmp_path: Path) -> None:
    rows = "".join(f"user-{i},{'x' * 200},{i}\n" for i in range(2000))
    facts = look(tmp_path, f"who,text,amount\n{rows}".encode(), label="amount")
    assert [column.values for column in facts.columns] == [(), (), ()]
    assert facts.label_counts == {}


@pytest.mark.parametrize(
    ("content", "what", "line"),
    [
        (b"", "empty", 1),
        (b"a,b\n1,2\n1,2,3\n", "3 values, the header has 2", 3),
        (b'a,b\n"x\ny",2\n1\n', "1 values", 4),
        (b"a,b\n1,2\nx,\xe9\n", "not UTF-8", 3),
        (b"a,b\n1,2\n\0\0,1\n", "NUL", 3),
        ("a,b\n1,2\n".encode("utf-16"), "NUL", 1),
        (b'a,b\n1,2\n1,"open\n1,2\n', "cannot be read", 3),
        (b'a,b\n1,"x"y\n', "cannot be read", 2),
        (b"a,a\n1,2\n", "two columns have the name 'a'", 1),
        (b"a,,c\n1,2,3\n", "no name", 1),
        (b"a;b\n1;2\n", "separated by ;", 1),
        (b"x" * (17 * 2**20), "longer than 16 MB", 1),
        (b",".join(b"c%d" % i for i in range(30_000)) + b"\n", "30,000 columns", 1),
    ],
    ids=[
        "empty",
        "long",
        "ragged",
        "latin1",
        "nul",
        "utf16",
        "open-quote",
        "bad-quote",
        "twice",
        "unnamed",
        "semicolon",
        "endless",
        "wide",
    ],
)
def test_a_broken_table_is_told_with_file_and_line(
    tmp_path: Path, content: bytes, what: str, line: int
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        look(tmp_path, content)
    assert caught.value.where.endswith(f"t.csv:{line}")
    assert caught.value.fix


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'{"a": 1}\n[1]\n', "not a JSON object"),
        (b'{"a": 1}\n{"a": NaN}\n', "not JSON"),
        (b'{"a": 1}\n{"a"\n', "not JSON"),
    ],
)
def test_broken_json_lines(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        look(tmp_path, content, "t.jsonl")
    assert caught.value.where.endswith("t.jsonl:2")


def test_a_gzip_that_ends_early_or_holds_a_bomb(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="damaged"):
        look(tmp_path, gzip.compress(TABLE + b"\r\n5,1,1,a,b" * 5000)[:-30], "t.csv.gz")
    with pytest.raises(InputError, match="longer than"):
        look(tmp_path, gzip.compress(b"\x20" * 200_000_000, 1), "bomb.csv.gz")


def test_a_missing_label_names_the_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'Churned'") as caught:
        look(tmp_path, TABLE, label="Churned")
    assert "churned" in caught.value.why


def test_what_is_not_there_or_no_data(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such data source"):
        sources(tmp_path).look(str(tmp_path / "absent.csv"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file"):
        sources(tmp_path).look(str(tmp_path / "empty"))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="no plain file"):
        sources(tmp_path).look(str(tmp_path / "pipe.csv"))
    (tmp_path / "empty" / "link").symlink_to("/")
    with pytest.raises(InputError, match="link to a folder"):
        sources(tmp_path).look(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="no storage"):
        sources(tmp_path).look("warp://host/file.csv")


def test_a_missing_package_names_the_extra(tmp_path: Path) -> None:
    code = """
        import sys
        sys.modules["s3fs"] = None
        from pathlib import Path
        from mmcicd_jenkins.adapters.data.sources import FsspecSources
        from mmcicd_jenkins.errors import InputError
        try:
            FsspecSources(Path(sys.argv[1])).look("s3://bucket/key.csv")
        except InputError as e:
            print(e.fix)
    """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path], capture_output=True, text=True, check=True
    )
    assert told.stdout == "pip install 'mmcicd-jenkins[s3]'\n"


def folder(root: Path) -> Path:
    for kind in ("cat", "dog"):
        for i in range(20):
            path = root / kind / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{kind}{i}".encode())
    return root


def test_a_folder_is_one_digest_over_its_files(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one"), folder(tmp_path / "two")
    facts = sources(tmp_path).look(str(one))
    assert (facts.files, facts.rows, facts.label_counts) == (40, None, {"cat": 20, "dog": 20})
    assert sources(tmp_path).look(str(two) + "/").digest == facts.digest
    (two / "cat" / "0.png").rename(two / "cat" / "00.png")
    assert sources(tmp_path).look(str(two)).digest != facts.digest
    fetched = sources(tmp_path).fetch(str(one), facts.digest, nothing)
    assert sorted(p.relative_to(fetched) for p in fetched.rglob("*")) == sorted(
        p.relative_to(one) for p in one.rglob("*")
    )


# --- fetching ---------------------------------------------------------------------------------------------


class Site:
    """An HTTP server with one file; `breaks` answers are cut off half-way, `status` answers instead."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.breaks = 0
        self.status = 200
        self.ranges = True
        self.tag = "one"
        self.sent = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._head(200, len(site.content))

            def _head(self, status: int, length: int, content_range: str = "") -> None:
                self.send_response(status if site.status == 200 else site.status)
                self.send_header("Content-Length", str(length if site.status == 200 else 0))
                self.send_header("ETag", f'"{site.tag}"')
                if site.ranges:
                    self.send_header("Accept-Ranges", "bytes")
                if content_range:
                    self.send_header("Content-Range", content_range)
                self.end_headers()

            def do_GET(self) -> None:
                start, end, status = 0, len(site.content) - 1, 200
                wanted = self.headers.get("Range", "")
                if site.ranges and wanted.startswith("bytes="):
                    first, _, last = wanted.removeprefix("bytes=").partition("-")
                    start, end, status = int(first), min(int(last or end), end), 206
                body = site.content[start : end + 1]
                self._head(
                    status, len(body), f"bytes {start}-{end}/{len(site.content)}" if status == 206 else ""
                )
                if site.status != 200:
                    return
                if site.breaks > 0 and len(body) > 1000:
                    site.breaks -= 1
                    body = body[: len(body) // 2]
                    self.close_connection = True
                site.sent += len(body)
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/data/t.csv"


@pytest.fixture
def site() -> Iterator[Site]:
    chance = random.Random(1)
    rows = "".join(f"{i},{chance.random()}\n" for i in range(200_000))
    site = Site(f"id,value\n{rows}".encode())
    thread = threading.Thread(target=site.server.serve_forever)
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()
    fsspec.filesystem("http").clear_instance_cache()


def test_what_was_looked_at_over_http_is_not_read_again(site: Site, tmp_path: Path) -> None:
    facts = sources(tmp_path).look(site.url)
    assert (facts.rows, facts.digest) == (200_000, sha256(site.content))
    sent = site.sent
    fetched = sources(tmp_path).fetch(site.url, facts.digest, nothing)
    assert fetched.name == "t.csv"
    assert fetched.read_bytes() == site.content
    assert site.sent == sent


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_breaks_is_resumed(site: Site, tmp_path: Path, ranges: bool) -> None:
    site.breaks, site.ranges = 2, ranges
    seen: list[int] = []
    fetched = sources(tmp_path).fetch(site.url, sha256(site.content), lambda done, _total: seen.append(done))
    assert fetched.read_bytes() == site.content
    assert seen[-1] == len(site.content)


def test_a_source_that_never_answers_whole_is_retryable(site: Site, tmp_path: Path) -> None:
    site.breaks = 1000
    with pytest.raises(OutsideFailed) as caught:
        sources(tmp_path).fetch(site.url, sha256(site.content), nothing)
    assert caught.value.retryable
    site.breaks = 0
    assert sources(tmp_path).fetch(site.url, sha256(site.content), nothing).read_bytes() == site.content


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [(404, InputError, False), (403, OutsideFailed, False), (503, OutsideFailed, True)],
)
def test_what_a_server_refuses(site: Site, tmp_path: Path, status: int, kind: type, retryable: bool) -> None:
    site.status = status
    with pytest.raises(kind) as caught:
        sources(tmp_path).fetch(site.url + "?signature=hidden", sha256(site.content), nothing)
    assert caught.value.retryable == retryable
    assert "hidden" not in str(caught.value.to_json())


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutsideFailed) as caught:
        sources(tmp_path).look("http://user:swordfish@127.0.0.1:9/t.csv")
    assert caught.value.retryable
    assert "swordfish" not in str(caught.value.to_json())


def test_changed_bytes_are_refused_and_the_old_stay_readable(site: Site, tmp_path: Path) -> None:
    old = site.content
    sources(tmp_path).fetch(site.url, sha256(old), nothing)
    site.content, site.tag = b"id,value\n1,2\n", "two"
    fsspec.filesystem("http").clear_instance_cache()
    assert sources(tmp_path).fetch(site.url, sha256(old), nothing).read_bytes() == old
    with pytest.raises(IntegrityFailed, match="no longer holds") as caught:
        FsspecSources(tmp_path / "other", sleep=lambda _: None).fetch(site.url, sha256(old), nothing)
    assert "data update" in caught.value.fix
    assert "13 bytes" in caught.value.why


def test_a_cached_copy_that_was_touched_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(TABLE)
    fetched = sources(tmp_path).fetch(str(tmp_path / "t.csv"), sha256(TABLE), nothing)
    fetched.chmod(0o644)
    fetched.write_bytes(TABLE.replace(b"Oslo", b"Rome"))
    assert sources(tmp_path).fetch(str(tmp_path / "t.csv"), sha256(TABLE), nothing).read_bytes() == TABLE


def test_the_same_bytes_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TABLE)
    sources(tmp_path).fetch(str(tmp_path / "a.csv"), sha256(TABLE), nothing)
    (tmp_path / "a.csv").unlink()
    fetched = sources(tmp_path).fetch(str(tmp_path / "b.csv"), sha256(TABLE), nothing)
    assert (fetched.name, fetched.read_bytes()) == ("b.csv", TABLE)


def test_a_killed_fetch_goes_on_where_it_was(tmp_path: Path, site: Site) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from mmcicd_jenkins.adapters.data.sources import FsspecSources
        def die(done, total):
            if done > total // 2:
                os.kill(os.getpid(), 9)
        FsspecSources(Path(sys.argv[1])).fetch(sys.argv[2], sys.argv[3], die)
    """
    arguments = [
        sys.executable,
        "-c",
        textwrap.dedent(code),
        tmp_path / "cache",
        site.url,
        sha256(site.content),
    ]
    assert subprocess.run(arguments, check=False).returncode == -9
    site.sent = 0
    assert sources(tmp_path).fetch(site.url, sha256(site.content), nothing).read_bytes() == site.content
    assert site.sent < len(site.content) * 0.7


def test_a_full_disk_says_how_much_is_needed_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "big.csv").write_bytes(b"a\n" + b"1\n" * 3_000_000)
    code = """
        import resource, signal, sys
        from pathlib import Path
        from mmcicd_jenkins.adapters.data.sources import FsspecSources
        from mmcicd_jenkins.errors import OutsideFailed
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
        try:
            FsspecSources(Path(sys.argv[1])).fetch(sys.argv[2], "sha256:" + "0" * 64, lambda *_: None)
        except OutsideFailed as e:
            print(e.what, e.why)
    """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path / "cache", tmp_path / "big.csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.startswith("there is no room for the data 6,000,002 bytes are needed")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.stat().st_size > 1000]


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    (tmp_path / "t.csv").write_bytes(TABLE)
    with pytest.raises(OutsideFailed, match="cannot write"):
        sources(tmp_path).fetch(str(tmp_path / "t.csv"), sha256(TABLE), nothing)


def test_any_fsspec_storage_with_files_and_folders(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/bucket/t.csv": TABLE, "/bucket/img/a/1.png": b"1", "/bucket/img/b/2.png": b"2"})
    try:
        assert sources(tmp_path).look("memory://bucket/t.csv").columns == COLUMNS
        facts = sources(tmp_path).look("memory://bucket/img/")
        assert (facts.files, facts.label_counts) == (2, {"a": 1, "b": 1})
        fetched = sources(tmp_path / "elsewhere").fetch("memory://bucket/img/", facts.digest, nothing)
        assert (fetched / "a" / "1.png").read_bytes() == b"1"
        memory.pipe("/bucket/img/../../evil", b"x")
    finally:
        memory.rm("/bucket", recursive=True)


# --- dividing ---------------------------------------------------------------------------------------------


def rows_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def split_of(
    tmp_path: Path,
    content: bytes,
    name: str = "t.csv",
    *,
    size: float = 0.25,
    group: str = "",
    salt: str = "s",
):
    (tmp_path / name).write_bytes(content)
    return sources(tmp_path).split(
        tmp_path / name, tmp_path / "parts", test_size=size, group_by=group, salt=salt
    )


def table(count: int, groups: int = 0) -> bytes:
    rows = (f'{i},"{i % groups if groups else i} ""x"""\r\n' for i in range(count))
    return ("n,who\r\n" + "".join(rows)).encode()


def test_rows_keep_their_bytes_and_both_parts_the_header(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbfa,b\r\n"1",x\r\n2,"y\r\nz"\r\n3,"q""q"'
    for salt in "abcdefgh":
        split = split_of(tmp_path, content, size=0.5, salt=salt) if salt else None
        assert split is not None
        train, test = split.train.read_bytes(), split.test.read_bytes()
        header = b"\xef\xbb\xbfa,b\r\n"
        assert train.startswith(header)
        assert test.startswith(header)
        body = train.removeprefix(header) + test.removeprefix(header)
        assert sorted(body.replace(b"y\r\nz", b"y z").splitlines()) == sorted(
            [b'"1",x', b'2,"y z"', b'3,"q""q"']
        )
        assert split.train_rows + split.test_rows == 3
        break


def test_the_share_is_right_and_order_does_not_matter(tmp_path: Path) -> None:
    content = table(20_000)
    first = split_of(tmp_path, content)
    tests = set(rows_of(first.test))
    assert abs(first.test_rows - 5000) < 4 * (20_000 * 0.25 * 0.75) ** 0.5
    assert not first.warning
    header, *rows = content.splitlines(keepends=True)
    random.Random(1).shuffle(rows)
    assert set(rows_of(split_of(tmp_path, header + b"".join(rows)).test)) == tests
    assert set(rows_of(split_of(tmp_path, content + b"99999,new\r\n").test)) - tests <= {b"99999,new\r\n"}
    assert set(rows_of(split_of(tmp_path, content, salt="other").test)) != tests


def test_a_known_division_stays_as_it_is_for_ever(tmp_path: Path) -> None:
    """A change here would move rows from test to train in every repository: then old test scores mean nothing."""
    split = split_of(tmp_path, b"n\n" + b"".join(b"%d\n" % i for i in range(20)))
    assert split.test.read_bytes() == b"n\n4\n6\n11\n18\n"


def test_groups_and_equal_rows_stay_together(tmp_path: Path) -> None:
    split = split_of(tmp_path, table(3000, groups=300), group="who")
    names = [{row.split(b",")[1] for row in rows_of(part)[1:]} for part in (split.train, split.test)]
    assert names[0].isdisjoint(names[1])
    assert names[1]
    twice = split_of(tmp_path, b"a,b\n" + b'1,x\n"1",x\n2,y\n2,"y"\n3,z\n3,z\n4,z\n4,z\n' * 3, size=0.5)
    parts = [{row.replace(b'"', b"") for row in rows_of(part)[1:]} for part in (twice.train, twice.test)]
    assert parts[0].isdisjoint(parts[1])


def test_few_groups_are_told_when_the_share_is_far_off(tmp_path: Path) -> None:
    split = split_of(tmp_path, table(3000, groups=3), group="who", size=0.5)
    assert "groups of who" in split.warning


def test_a_row_without_its_group(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no who") as caught:
        split_of(tmp_path, b"n,who\n1,a\n2,\n", group="who")
    assert caught.value.where.endswith("t.csv:3")
    with pytest.raises(InputError, match="no column 'whom'"):
        split_of(tmp_path, b"n,who\n1,a\n2,b\n", group="whom")
    with pytest.raises(InputError, match="no who") as caught:
        split_of(tmp_path, b'{"who": "a"}\n{"n": 1}\n', "t.jsonl", group="who")
    assert caught.value.where.endswith("t.jsonl:2")


def test_an_empty_part_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="part is empty"):
        split_of(tmp_path, table(100, groups=1), group="who")
    assert not (tmp_path / "parts").exists()
    with pytest.raises(InputError, match="no table"):
        split_of(tmp_path, b"123", "t.npz")


def test_compressed_tables_become_plain_ones(tmp_path: Path) -> None:
    split = split_of(tmp_path, gzip.compress(table(100)), "t.csv.gz")
    assert split.train.name == split.test.name == "t.csv"
    assert sorted(rows_of(split.train)[1:] + rows_of(split.test)[1:]) == sorted(rows_of_bytes(table(100))[1:])


def rows_of_bytes(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def test_json_lines_are_divided_by_what_they_say(tmp_path: Path) -> None:
    rows = b"".join(b'{"a": %d, "b": 1}\n{"b": 1,   "a": %d}\n' % (i, i) for i in range(200))
    split = split_of(tmp_path, rows, "t.jsonl")
    plain = [{row.replace(b" ", b"") for row in rows_of(part)} for part in (split.train, split.test)]
    numbers = [{bytes(sorted(row)) for row in part} for part in plain]
    assert split.train_rows + split.test_rows == 400
    assert numbers[1]


def test_folders_are_divided_by_file_or_kept_whole(tmp_path: Path) -> None:
    folder(tmp_path / "images")
    split = sources(tmp_path).split(
        tmp_path / "images", tmp_path / "parts", test_size=0.3, group_by="", salt="s"
    )
    files = [{p.relative_to(part) for p in part.rglob("*.png")} for part in (split.train, split.test)]
    assert (len(files[0]), len(files[1])) == (split.train_rows, split.test_rows)
    assert len(files[0] | files[1]) == 40
    kept = sources(tmp_path).split(
        tmp_path / "images", tmp_path / "parts", test_size=0.5, group_by="folder", salt="ab"
    )
    folders = [{p.parent.name for p in part.rglob("*.png")} for part in (kept.train, kept.test)]
    assert folders[0].isdisjoint(folders[1])
    with pytest.raises(InputError, match="no column"):
        sources(tmp_path).split(
            tmp_path / "images", tmp_path / "parts", test_size=0.5, group_by="id", salt="s"
        )


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with path.open("wb") as file:
        file.write(b"a,b,c\n")
        for i in range(40_000):
            file.write(b"%d,%d.5,some-longer-text-%d\n" % (i, i, i))
    sources(tmp_path).look(str(path), "a")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with path.open("ab") as file:
        for i in range(120_000):
            file.write(b"%d,%d.5,some-longer-text-%d\n" % (i, i, i))
    facts = sources(tmp_path).look(str(path), "a")
    sources(tmp_path).split(path, tmp_path / "parts", test_size=0.2, group_by="a", salt="s")
    assert facts.rows == 160_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8_000  # KiB
