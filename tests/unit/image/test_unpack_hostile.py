"""A layer that was made to do harm, or was damaged, is refused and leaves nothing behind.

Aspects: places outside the model, links and devices, doubles, folders and files that change places, headers
that lie, bombs, rubbish, truncation at every place, and: what was packed comes back.
"""

import gzip
import hashlib
import io
import tarfile
import zlib

import pytest
from folders import SAVED_MODEL, read_folder, write_folder
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image import tar
from mmcicd_jenkins.image.descriptor import LAYER, LAYER_GZIP, LAYER_ZSTD, Descriptor
from mmcicd_jenkins.image.layer import pack_layer, plan_layers
from mmcicd_jenkins.image.tree import scan
from mmcicd_jenkins.image.unpack import Limits, Unpacker

ROOT = tar.MODEL_ROOT


def blob_of(content, media_type=LAYER):
    return Descriptor(
        media_type=media_type, digest="sha256:" + hashlib.sha256(content).hexdigest(), size=len(content)
    )


def unpack(folder, *contents, media_type=LAYER, limits=None, step=7000):
    folder.mkdir(exist_ok=True)
    unpacker = Unpacker(folder, limits)
    for content in contents:
        chunks = [content[at : at + step] for at in range(0, len(content), step)]
        unpacker.unpack(chunks, blob_of(content, media_type), "blob")


def tar_of(*members, form=tarfile.PAX_FORMAT):
    opened = io.BytesIO()
    with tarfile.open(fileobj=opened, mode="w", format=form) as archive:
        for name, kind, data in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.size = len(data) if kind == tarfile.REGTYPE else 0
            if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE}:
                member.linkname = data.decode()
            archive.addfile(member, io.BytesIO(data))
    return opened.getvalue()


def regular(name, data=b"x"):
    return name, tarfile.REGTYPE, data


def refused(tmp_path, *contents, out="out", **options):
    around = {path.name for path in tmp_path.iterdir()} | {out}
    with pytest.raises(IntegrityFailed) as error:
        unpack(tmp_path / out, *contents, **options)
    assert error.value.exit_code == 7
    assert {path.name for path in tmp_path.iterdir()} == around
    return error.value


@pytest.mark.parametrize(
    "name",
    [
        "etc/passwd",
        "saved_model.pb",
        "/etc/passwd",
        f"/{ROOT}/a",
        f"{ROOT}/../../../escape",
        f"{ROOT}/a/../../b",
        f"{ROOT}/./a",
        f"{ROOT}//a",
        f"{ROOT}/..",
        "../escape",
        f"{ROOT}x/a",
        f"{ROOT}/.wh.saved_model.pb",
        f"{ROOT}/a/.wh..wh..opq",
        ROOT,
        "srv",
        ".",
    ],
)
def test_a_file_at_another_place_is_refused(tmp_path, name):
    refused(tmp_path, tar_of(regular(name)))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        b"Z",
    ],
)
def test_anything_but_files_and_folders_is_refused(tmp_path, kind):
    refused(tmp_path, tar_of((f"{ROOT}/a", kind, b"/etc/passwd")))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT])
def test_headers_that_we_do_not_write_are_refused(tmp_path, form):
    refused(tmp_path, tar_of(regular(f"{ROOT}/" + "n" * 200), form=form))


def test_a_file_twice_is_refused_within_a_layer_and_across_layers(tmp_path):
    one = tar_of(regular(f"{ROOT}/a", b"good"))
    refused(tmp_path, tar_of(regular(f"{ROOT}/a", b"good"), regular(f"{ROOT}/a", b"evil")))
    (tmp_path / "out" / "a").unlink()
    refused(tmp_path, one, tar_of(regular(f"{ROOT}/a", b"evil")))
    assert (tmp_path / "out" / "a").read_bytes() == b"good"


def test_a_file_where_a_folder_is_and_the_reverse_are_refused(tmp_path):
    folder, file = (f"{ROOT}/a", tarfile.DIRTYPE, b""), regular(f"{ROOT}/a")
    refused(tmp_path, tar_of(folder, file))
    (tmp_path / "out" / "a").rmdir()
    refused(tmp_path, tar_of(file, folder))
    refused(tmp_path, tar_of(regular(f"{ROOT}/b"), regular(f"{ROOT}/b/c")))
    refused(tmp_path, tar_of(regular(f"{ROOT}/absent/c")))
    refused(tmp_path, tar_of((f"{ROOT}/absent/c", tarfile.DIRTYPE, b"")))


def test_a_link_put_in_the_way_is_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "victim")
    with pytest.raises(IntegrityFailed):
        unpack(tmp_path / "out", tar_of(regular(f"{ROOT}/a")))
    assert not (tmp_path / "victim").exists()


def test_too_many_files_and_too_many_bytes_are_refused(tmp_path):
    many = tar_of(*(regular(f"{ROOT}/{n}", b"12345") for n in range(5)))
    assert "4 files" in refused(tmp_path, many, limits=Limits(files=4)).why
    refused(tmp_path, many, out="other", limits=Limits(total_bytes=24))


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path):
    content = tar.file_header(f"{ROOT}/a", 2**40) + bytes(50_000_000)
    bomb = gzip.compress(content)
    assert len(bomb) < 100_000
    refused(tmp_path, bomb, media_type=LAYER_GZIP)
    assert not (tmp_path / "out" / "a").exists()


@pytest.mark.parametrize("size", ["-1", "99999999999999999999", "x", "", " 1"])
def test_a_pax_size_that_lies_is_refused(tmp_path, size):
    record = f" size={size}\n"
    length = len(record) + 2
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    data = f"{length}{record}".encode()
    header.size = len(data)
    content = header.tobuf() + data + tar.padding(len(data)) + tar.file_header(f"{ROOT}/a", 0) + tar.END
    refused(tmp_path, content)


@pytest.mark.parametrize(
    "data", [b"", b"0 path=a\n", b"99 path=a\n", b"10 paxh=a\n", b"\xff", b"9 path=\xff\n", b"11 path=a\0\n"]
)
def test_a_pax_header_that_is_not_ours_is_refused(tmp_path, data):
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    header.size = len(data)
    content = header.tobuf() + data + tar.padding(len(data)) + tar.file_header(f"{ROOT}/a", 0) + tar.END
    refused(tmp_path, content)


def test_two_pax_headers_in_a_row_and_a_huge_one_are_refused(tmp_path):
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    data = f"{len(ROOT) + 10} path={ROOT}/a\n".encode()
    header.size = len(data)
    one = header.tobuf() + data + tar.padding(len(data))
    refused(tmp_path, one + one + tar.file_header(f"{ROOT}/a", 0) + tar.END)
    header.size = 2**30
    refused(tmp_path, header.tobuf() + bytes(2**20))


def test_bytes_after_the_end_are_refused(tmp_path):
    good = tar_of(regular(f"{ROOT}/a"))
    refused(tmp_path, good + b"evil")
    (tmp_path / "out" / "a").unlink()
    refused(tmp_path, gzip.compress(good) + b"evil", media_type=LAYER_GZIP)
    (tmp_path / "out" / "a").unlink()
    refused(tmp_path, gzip.compress(good) + gzip.compress(good), media_type=LAYER_GZIP, step=10**6)


@pytest.mark.parametrize("media_type", [LAYER_ZSTD, "text/plain", ""])
def test_a_kind_of_layer_that_no_model_has_is_refused(tmp_path, media_type):
    refused(tmp_path, tar_of(regular(f"{ROOT}/a")), media_type=media_type)


def test_a_layer_with_the_wrong_size_or_digest_is_refused(tmp_path):
    content = tar_of(regular(f"{ROOT}/a"))
    right = blob_of(content)
    for number, (digest, size) in enumerate(
        [(right.digest, right.size - 1), (right.digest, right.size + 1), ("sha256:" + "0" * 64, right.size)]
    ):
        wrong = Descriptor(media_type=LAYER, digest=digest, size=size)
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(IntegrityFailed):
            Unpacker(folder).unpack([content], wrong, "blob")


@pytest.mark.parametrize("media_type", [LAYER, LAYER_GZIP])
def test_a_layer_cut_short_anywhere_is_refused(tmp_path, media_type):
    content = tar_of(regular(f"{ROOT}/a", b"x" * 700))[:2560]
    content = gzip.compress(content) if media_type == LAYER_GZIP else content
    for number, end in enumerate(range(0, len(content), 97)):
        # The digest of what is left is right: only the form can show that something is missing.
        with pytest.raises(IntegrityFailed):
            unpack(tmp_path / str(number), content[:end], media_type=media_type)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_the_bytes_are_the_answer_is_one_error(tmp_path_factory, data):
    content = bytearray(
        tar_of(regular(f"{ROOT}/" + "n" * 150, b"x" * 600), (f"{ROOT}/d", tarfile.DIRTYPE, b""))[:4096]
    )
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[at] = data.draw(st.integers(0, 255))
    zipped = data.draw(st.booleans())
    blob = zlib.compress(bytes(content), 1, 31) if zipped else bytes(content)
    folder = tmp_path_factory.mktemp("out")
    try:
        unpack(folder, blob, media_type=LAYER_GZIP if zipped else LAYER)
    except IntegrityFailed:
        return
    assert all(len(data or b"") <= len(content) for data in read_folder(folder).values())


# Names that a folder can hold side by side on every machine.
_PARTS = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60
).filter(lambda part: part not in {".", ".."} and len(part.encode()) < 250 and not part.startswith(".wh."))


@given(
    st.dictionaries(
        st.lists(_PARTS, min_size=1, max_size=4).map("/".join),
        st.one_of(st.none(), st.binary(max_size=3000)),
        min_size=1,
    ),
    st.sampled_from(["gzip", "none"]),
)
@settings(max_examples=60, deadline=None)
def test_what_was_packed_comes_back(tmp_path_factory, content, compression):
    folder = tmp_path_factory.mktemp("model")
    written = {"saved_model.pb": b"x"}
    for number, (path, data) in enumerate(content.items()):
        # A number in front keeps case and accents from colliding.
        written[f"{number}/{path}"] = data
    write_folder(folder, written)
    for number, plan in enumerate(plan_layers(scan(folder))):
        parts = []
        record = pack_layer(folder, plan, compression, lambda pieces, to=parts: to.extend(map(bytes, pieces)))
        out = folder.parent / f"{folder.name}-out{number}"
        out.mkdir()
        Unpacker(out).unpack(parts, record.layer.blob, "blob")
        assert read_folder(out) == read_folder(folder)


def test_a_saved_model_comes_back(tmp_path):
    folder = write_folder(tmp_path / "m", SAVED_MODEL)
    out = tmp_path / "out"
    out.mkdir()
    parts = []
    record = pack_layer(
        folder, plan_layers(scan(folder))[0], "gzip", lambda pieces: parts.extend(map(bytes, pieces))
    )
    Unpacker(out).unpack(parts, record.layer.blob, "blob")
    assert read_folder(out) == dict(sorted(SAVED_MODEL.items()))
