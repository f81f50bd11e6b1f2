"""A model that the registry has already, once more from its folder to an image: nothing has changed, nothing is sent.

The peer is BuildKit's no-op with the push that follows; where no client can speak to BuildKit the classic builder
stands in for it, and the result names it.
"""

from benchmarks import harness, pushing
from benchmarks.pack_model import make_model
from benchmarks.pushing import MB, Stand


def benchmark(stand: Stand, size: int, runs: int) -> dict[str, object]:
    make_model(stand.model, size)
    pushing.write_dockerfile(stand)
    client = pushing.buildkit_client()
    ours = harness.Contender(
        name="mmcicd-jenkins", version=harness.our_version(), command=lambda _: pushing.ours(stand)
    )
    peer = harness.Contender(
        name="docker build + push",
        version=pushing.docker_version(stand, client),
        command=lambda _: pushing.buildkit(stand, client) if client else pushing.docker(stand),
    )
    samples, peer_samples = harness.alternate([ours, peer], runs)
    ratio = harness.ratio_of(samples, peer_samples)
    return {
        "name": "push_unchanged",
        "what": f"an unchanged model as an image into {pushing.registry_version()}",
        "size": f"{size // MB} MB",
        "runs": runs,
        "ours": samples.to_json(ours),
        "peer": peer_samples.to_json(peer),
        "ratio": ratio,
        "goal": "at most 1 time",
        "met": ratio <= 1,
    }


def main() -> None:
    chosen = harness.options(__doc__ or "")
    pushing.need("docker")
    size, base = (20 * MB, 3 * MB) if chosen.smoke else (500 * MB, 90 * MB)
    with pushing.workplace(chosen.folder) as folder, pushing.stand(folder, base) as stand:
        result = benchmark(stand, size, chosen.runs or (1 if chosen.smoke else 9))
    harness.tell(result, chosen.json)


if __name__ == "__main__":
    main()
