"""A fresh model of 500 MB from its folder to an image in a registry, against how it is usually done.

Its bytes are others before every run. The peers are `docker build` and `docker push`; `tar | crane append`, which
streams as well; and the least that anyone must do, the bare upload of a tar that is ready by curl. Our memory must not
grow with the model.
"""

import hashlib
import subprocess
from pathlib import Path

from benchmarks import harness, pushing
from benchmarks.pack_model import make_model
from benchmarks.pushing import MB, Stand

# Ours in parts of the peer's time.
_DOCKER, _CRANE, _BARE = 1 / 10, 1 / 1.5, 1.4
_MOST_RSS_MB = 96
_MOST_GROWTH_MB = 10


class Tar:
    """The model as a tar that is ready, and its digest."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self.path = stand.folder / "ready.tar"
        self.digest = ""

    def make(self) -> None:
        subprocess.run(["tar", "-C", self._stand.context, "-cf", self.path, "models"], check=True)
        with self.path.open("rb") as file:
            self.digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def contenders(stand: Stand, tenth: Path) -> list[harness.Contender]:
    tar = Tar(stand)

    def fresh(_: int) -> None:
        pushing.change(stand.model)

    def fresh_tar(_: int) -> None:
        pushing.change(stand.model)
        tar.make()

    def clean(_: int) -> None:
        stand.forget()

    def clean_docker(_: int) -> None:
        stand.forget()
        stand.close_images()

    version = harness.our_version()
    return [
        harness.Contender(
            name="mmcicd-jenkins", version=version, prepare=fresh, clean=clean,
            command=lambda _: pushing.ours(stand),
        ),
        harness.Contender(
            name="docker build + push", version=pushing.docker_version(stand), prepare=fresh, clean=clean_docker,
            command=lambda _: pushing.docker(stand),
        ),
        harness.Contender(
            name="tar | crane append", version=pushing.crane_version(), prepare=fresh, clean=clean,
            command=lambda _: pushing.crane(stand),
        ),
        harness.Contender(
            name="upload of the ready tar by curl", version=pushing.curl_version(), prepare=fresh_tar, clean=clean,
            command=lambda _: pushing.bare(stand, tar.path, tar.digest),
        ),
        harness.Contender(
            name="mmcicd-jenkins, a tenth", version=version, prepare=lambda _: pushing.change(tenth), clean=clean,
            command=lambda _: pushing.ours(stand, "tenth", tenth),
        ),
    ]  # fmt: skip


def benchmark(stand: Stand, size: int, runs: int) -> dict[str, object]:
    make_model(stand.model, size)
    pushing.write_dockerfile(stand)
    all_of_them = contenders(stand, make_model(stand.folder / "tenth", size // 10))
    samples = harness.alternate(all_of_them, runs)
    ours, docker, crane, bare, tenth = samples
    goals = [
        (docker, all_of_them[1], _DOCKER, "at most a tenth"),
        (crane, all_of_them[2], _CRANE, "at most 1/1.5"),
        (bare, all_of_them[3], _BARE, f"at most {_BARE} times"),
    ]
    compared = [
        {
            "peer": sample.to_json(peer),
            "ratio": (ratio := harness.ratio_of(ours, sample)),
            "goal": goal,
            "met": ratio <= most,
        }
        for sample, peer, most, goal in goals
    ]
    peak, tenth_peak = max(ours.peak_rss_mb), max(tenth.peak_rss_mb)
    is_flat = peak < _MOST_RSS_MB and peak - tenth_peak < _MOST_GROWTH_MB
    return {
        "name": "push_model",
        "what": f"a fresh model as an image into {pushing.registry_version()}",
        "size": f"{size // MB} MB",
        "runs": runs,
        "ours": ours.to_json(all_of_them[0]),
        "a_tenth": tenth.to_json(all_of_them[4]),
        "docker_daemons_peak_rss_mb": pushing.daemon_peak_mb(stand),
        **compared[0],
        "goal": f"at most a tenth; peak memory below {_MOST_RSS_MB} MB and the same for a tenth of the size",
        "met": compared[0]["met"] and is_flat,
        "others": compared[1:],
    }


def main() -> None:
    chosen = harness.options(__doc__ or "")
    pushing.need("docker", "crane", "curl", "tar")
    size, base = (20 * MB, 3 * MB) if chosen.smoke else (500 * MB, 90 * MB)
    with pushing.workplace(chosen.folder) as folder, pushing.stand(folder, base) as stand:
        result = benchmark(stand, size, chosen.runs or (1 if chosen.smoke else 5))
    harness.tell(result, chosen.json)


if __name__ == "__main__":
    main()
