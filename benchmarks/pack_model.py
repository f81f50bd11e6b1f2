"""Packing a model into the store against the least that anyone must do: hash its bytes and copy them, once.

Both are Python processes, read the same files from a warm cache, and end with the bytes on the disk; of its
copies the peer syncs the weights alone, which favours it. `--folder /dev/shm` takes the disk out of it. Ours also makes the tar, two more digests and a gzip container. Memory must not grow with the model.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import harness

MB = 10**6
_GOAL = 2.5
_MOST_RSS_MB = 96
_MOST_GROWTH_MB = 10
_SMALL_FILES = 44


def make_model(folder: Path, size: int) -> Path:
    """One file of weights that do not compress, and many small ones, as a SavedModel has them."""
    (folder / "variables").mkdir(parents=True)
    (folder / "assets").mkdir()
    small = size // 200 // _SMALL_FILES
    with (folder / "variables" / "variables.data-00000-of-00001").open("wb") as weights:
        for at in range(0, size, MB):
            weights.write(os.urandom(min(MB, size - at)))
    for number in range(_SMALL_FILES):
        (folder / "assets" / f"vocabulary-{number}.txt").write_bytes(os.urandom(small))
    (folder / "saved_model.pb").write_bytes(os.urandom(small))
    return folder


def pack(model: Path, store: Path) -> None:
    from mmcicd_jenkins.adapters.layout.store import OciLayoutStore

    OciLayoutStore(store).put_model(model)


def hash_and_copy(model: Path, target: Path) -> None:
    buffer = memoryview(bytearray(2**20))
    for source in sorted(path for path in model.rglob("*") if path.is_file()):
        digest = hashlib.sha256()
        copy = target / source.relative_to(model)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb", buffering=0) as reader, copy.open("wb", buffering=0) as writer:
            while count := reader.readinto(buffer):
                digest.update(buffer[:count])
                writer.write(buffer[:count])
            if source.stat().st_size > MB:
                os.fsync(writer.fileno())


def contender(name: str, version: str, work: str, model: Path, target: Path) -> harness.Contender:
    return harness.Contender(
        name=name,
        version=version,
        command=lambda run: [
            sys.executable,
            "-m",
            "benchmarks.pack_model",
            work,
            str(model),
            f"{target}-{work}-{run}",
        ],
        clean=lambda run: shutil.rmtree(f"{target}-{work}-{run}"),
    )


def benchmark(size: int, runs: int, folder: Path) -> dict[str, object]:
    model, tenth = make_model(folder / "model", size), make_model(folder / "tenth", size // 10)
    ours = contender("mmcicd-jenkins", harness.our_version(), "pack", model, folder / "to")
    small = contender("mmcicd-jenkins", harness.our_version(), "pack", tenth, folder / "tenth-to")
    peer = contender("hash and copy once", harness.python_version(), "copy", model, folder / "to")
    samples, small_samples, peer_samples = harness.alternate([ours, small, peer], runs)
    ratio = harness.ratio_of(samples, peer_samples)
    peak, small_peak = max(samples.peak_rss_mb), max(small_samples.peak_rss_mb)
    return {
        "name": "pack_model",
        "what": "a model into the store as layers",
        "size": f"{size // MB} MB",
        "runs": runs,
        "ours": samples.to_json(ours),
        "peer": peer_samples.to_json(peer),
        "a_tenth": small_samples.to_json(small),
        "ratio": ratio,
        "goal": f"at most {_GOAL} times, peak memory below {_MOST_RSS_MB} MB and the same for a tenth of the size",
        "met": ratio <= _GOAL and peak < _MOST_RSS_MB and peak - small_peak < _MOST_GROWTH_MB,
    }


def main() -> None:
    works = {"pack": pack, "copy": hash_and_copy}
    if len(sys.argv) > 1 and sys.argv[1] in works:
        works[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
        return
    chosen = harness.options(__doc__ or "")
    size = (20 if chosen.smoke else 500) * MB
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        result = benchmark(size, chosen.runs or (2 if chosen.smoke else 5), Path(folder))
    harness.tell(result, chosen.json)


if __name__ == "__main__":
    main()
