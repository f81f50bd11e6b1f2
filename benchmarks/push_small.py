"""A fresh model of 5 MB from its folder to an image in a registry, against `docker build` and `docker push`.

At this size nothing is limited by bytes: what counts is what a process costs and how often it asks.
"""

from benchmarks import harness, pushing
from benchmarks.pack_model import make_model
from benchmarks.pushing import MB, Stand

_GOAL = 1 / 2


def benchmark(stand: Stand, size: int, runs: int) -> dict[str, object]:
    make_model(stand.model, size)
    pushing.write_dockerfile(stand)

    def fresh(_: int) -> None:
        pushing.change(stand.model)

    def clean(_: int) -> None:
        stand.forget()
        stand.close_images()

    ours = harness.Contender(
        name="mmcicd-jenkins", version=harness.our_version(), prepare=fresh, clean=clean,
        command=lambda _: pushing.ours(stand),
    )  # fmt: skip
    peer = harness.Contender(
        name="docker build + push", version=pushing.docker_version(stand), prepare=fresh, clean=clean,
        command=lambda _: pushing.docker(stand),
    )  # fmt: skip
    samples, peer_samples = harness.alternate([ours, peer], runs)
    ratio = harness.ratio_of(samples, peer_samples)
    return {
        "name": "push_small",
        "what": f"a fresh small model as an image into {pushing.registry_version()}",
        "size": f"{size // MB} MB",
        "runs": runs,
        "ours": samples.to_json(ours),
        "peer": peer_samples.to_json(peer),
        "ratio": ratio,
        "goal": "at most 1/2",
        "met": ratio <= _GOAL,
    }


def main() -> None:
    chosen = harness.options(__doc__ or "")
    pushing.need("docker")
    with pushing.workplace(chosen.folder) as folder, pushing.stand(folder, 3 * MB) as stand:
        result = benchmark(stand, 5 * MB, chosen.runs or (1 if chosen.smoke else 9))
    harness.tell(result, chosen.json)


if __name__ == "__main__":
    main()
