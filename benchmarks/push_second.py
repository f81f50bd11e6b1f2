"""A second model that shares nine tenths of its bytes with the one before: the time follows what changed.

The model has ten files of weights, each a layer, and one of them is other before every run. The peer is our own push
of a fresh model as large as what changed; the other one is Docker with a COPY for each file, the changed one last, as
careful people write it. `written_anew` is the same once more where every file was written again, as an export does it.
"""

import os
import shutil
from pathlib import Path

from benchmarks import harness, pushing
from benchmarks.pushing import MB, Stand

_FILES = 10
# Of a push of what changed; the rest is asking for the nine others.
_GOAL = 1.5


def make_model(folder: Path, size: int, files: int = _FILES) -> Path:
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(os.urandom(1000))
    for number in range(files):
        pushing.fill(folder / f"shard-{number}", size // files)
    return folder


def write_dockerfile(stand: Stand) -> None:
    names = ["saved_model.pb", *(f"shard-{number}" for number in range(_FILES))]
    copies = [f"COPY models/{pushing.MODEL}/1/{name} /models/{pushing.MODEL}/1/" for name in names]
    (stand.context / "Dockerfile").write_text("\n".join([f"FROM {stand.base}", *copies]) + "\n")


def change_last(model: Path) -> None:
    with (model / f"shard-{_FILES - 1}").open("r+b") as file:
        file.write(os.urandom(64))


def contenders(stand: Stand, tenth: Path, anew: Path) -> list[harness.Contender]:
    def change(_: int) -> None:
        change_last(stand.model)

    def write_anew(_: int) -> None:
        change_last(stand.model)
        shutil.rmtree(anew, ignore_errors=True)
        shutil.copytree(stand.model, anew, copy_function=shutil.copyfile)

    version = harness.our_version()
    return [
        harness.Contender(
            name="mmcicd-jenkins", version=version, prepare=change, command=lambda _: pushing.ours(stand)
        ),
        harness.Contender(
            name="mmcicd-jenkins, only what changed", version=version, prepare=lambda _: pushing.change(tenth),
            command=lambda _: pushing.ours(stand, "tenth", tenth),
        ),
        harness.Contender(
            name="docker build + push, a COPY for each file", version=pushing.docker_version(stand), prepare=change,
            command=lambda _: pushing.docker(stand),
        ),
        harness.Contender(
            name="mmcicd-jenkins, all files written anew", version=version, prepare=write_anew,
            command=lambda _: pushing.ours(stand, model=anew),
        ),
    ]  # fmt: skip


def benchmark(stand: Stand, size: int, runs: int) -> dict[str, object]:
    make_model(stand.model, size)
    write_dockerfile(stand)
    tenth = make_model(stand.folder / "tenth", size // _FILES, files=1)
    all_of_them = contenders(stand, tenth, stand.folder / "anew")
    samples = harness.alternate(all_of_them, runs)
    ours, only, docker, anew = samples
    ratio, docker_ratio = harness.ratio_of(ours, only), harness.ratio_of(ours, docker)
    return {
        "name": "push_second",
        "what": f"a model that shares nine tenths with the one before into {pushing.registry_version()}",
        "size": f"{size // MB} MB, a tenth changed",
        "runs": runs,
        "ours": ours.to_json(all_of_them[0]),
        "peer": only.to_json(all_of_them[1]),
        "written_anew": anew.to_json(all_of_them[3]),
        "ratio": ratio,
        "goal": f"at most {_GOAL} times what the changed bytes alone cost",
        "met": ratio <= _GOAL,
        "others": [
            {
                "peer": docker.to_json(all_of_them[2]),
                "ratio": docker_ratio,
                "goal": "at most 1 time",
                "met": docker_ratio <= 1,
            }
        ],
    }


def main() -> None:
    chosen = harness.options(__doc__ or "")
    pushing.need("docker")
    size = (20 if chosen.smoke else 500) * MB
    with pushing.workplace(chosen.folder) as folder, pushing.stand(folder, 3 * MB) as stand:
        result = benchmark(stand, size, chosen.runs or (1 if chosen.smoke else 5))
    harness.tell(result, chosen.json)


if __name__ == "__main__":
    main()
