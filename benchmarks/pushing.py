"""The stand of the push benchmarks: one registry for all, a Docker engine, a base image, a model; and the contenders.

All push the same files onto the same base, which the registry and the engine have already, and leave the registry as
they found it. Run as `python -m benchmarks.pushing` this is our own contender: a model and its image into a registry.

Needed: docker-registry, a Docker engine, and what the peers of a benchmark need (crane, curl); `make test-real`
installs them. MMCICD_TEST_REGISTRY names another registry program; its version stands in the result.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import harness

# The registry and the engine of the tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import docker_server
import registry_server

MB = 10**6
MODEL = "churn"
_BASE_LAYERS = 3
_DOCKERFILE = "FROM {base}\nCOPY models /models\n"
# Literal scripts; what varies comes as arguments.
_DOCKER = (
    'exec 2>"$1"; docker --host "$2" build --quiet --tag "$3" "$4" && docker --host "$2" push --quiet "$3"'
)
_CRANE = (
    'exec 2>"$1"; tar -C "$4" -cf - models | crane append --insecure --base "$2" --new_tag "$3" --new_layer -'
)
_BARE = """exec 2>"$1"
where=$(curl --silent --show-error --fail --request POST --dump-header - --output /dev/null "$2/v2/bare/blobs/uploads/" \
    | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')
where=$(curl --silent --show-error --fail --request PATCH --dump-header - --output /dev/null --upload-file "$3" \
    --header 'Content-Type: application/octet-stream' --header 'Expect:' "$where" | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')
curl --silent --show-error --fail --request PUT "$where&digest=$4"
"""


@dataclass(frozen=True, kw_only=True)
class Stand:
    """Where everything is. `context` is what Docker builds from: a Dockerfile, and the model below `models`."""

    folder: Path
    registry: registry_server.Registry
    engine: docker_server.Engine
    base: str
    base_digest: str
    base_blobs: frozenset[Path]

    @property
    def context(self) -> Path:
        return self.folder / "context"

    @property
    def model(self) -> Path:
        return self.context / "models" / MODEL / "1"

    @property
    def log(self) -> Path:
        return self.folder / "peer.log"

    def address(self, name: str) -> str:
        return f"{self.registry.host}/{name}"

    def forget(self) -> None:
        """Everything but the base, so that each push finds the registry as the first one did."""
        repositories = self.registry.storage / "docker/registry/v2/repositories"
        for one in repositories.iterdir():
            if one.name != "base":
                shutil.rmtree(one)
        for blob in _blobs(self.registry) - self.base_blobs:
            shutil.rmtree(blob)

    def close_images(self) -> None:
        """What builds left in the engine."""
        self.engine.run("image", "rm", "--force", self.address("docker:1"))
        self.engine.run("image", "prune", "--force")


def need(*programs: str) -> None:
    """Skip the benchmark where a peer is missing."""
    missing = [one for one in programs if not shutil.which(one)]
    if missing:
        harness.skip(f"{', '.join(missing)} missing; `sudo make test-real` installs what the peers need")


@contextlib.contextmanager
def stand(folder: Path, base_size: int) -> Iterator[Stand]:
    """A registry, an engine and a base image of `base_size` bytes that both have."""
    # Clients differ in what they build with when nobody says.
    os.environ["DOCKER_BUILDKIT"] = "0"
    try:
        with registry_server.serve(folder / "registry") as registry, docker_server.serve() as engine:
            base = f"{registry.host}/base/serving:1"
            digest = _make_base(engine, base, base_size, folder / "base")
            yield Stand(
                folder=folder,
                registry=registry,
                engine=engine,
                base=base,
                base_digest=digest,
                base_blobs=frozenset(_blobs(registry)),
            )
    except (registry_server.UnavailableError, docker_server.UnavailableError) as e:
        harness.skip(str(e))


def _blobs(registry: registry_server.Registry) -> set[Path]:
    return set((registry.storage / "docker/registry/v2/blobs/sha256").glob("*/*"))


def _make_base(engine: docker_server.Engine, name: str, size: int, folder: Path) -> str:
    folder.mkdir()
    lines = ["FROM scratch"]
    for number in range(_BASE_LAYERS):
        _fill(folder / f"library-{number}", size // _BASE_LAYERS)
        lines.append(f"COPY library-{number} /lib/")
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    engine("build", "--quiet", "--tag", name, str(folder))
    pushed = engine("push", name).decode()
    found = re.search(r"digest: (sha256:[0-9a-f]{64})", pushed)
    assert found, pushed
    return found[1]


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for at in range(0, size, MB):
            file.write(os.urandom(min(MB, size - at)))


def write_dockerfile(one: Stand) -> None:
    (one.context / "Dockerfile").write_text(_DOCKERFILE.format(base=one.base))


def change(model: Path) -> None:
    """Other bytes in every file, so that nobody has seen them before; the cache of the system stays warm."""
    for path in sorted(model.rglob("*")):
        if path.is_file():
            with path.open("r+b") as file:
                file.write(secrets.token_bytes(64))


def ours(one: Stand, name: str = "mmcicd-jenkins", model: Path | None = None) -> list[str]:
    """The command of our contender; `name` keeps two of them apart."""
    return [
        sys.executable, "-m", "benchmarks.pushing",
        one.registry.host, str(model or one.model), str(one.folder / f"cache-{name}"), one.base_digest,
    ]  # fmt: skip


def docker(one: Stand) -> list[str]:
    return [
        "sh",
        "-c",
        _DOCKER,
        "sh",
        str(one.log),
        one.engine.host,
        one.address("docker:1"),
        str(one.context),
    ]


def crane(one: Stand) -> list[str]:
    return ["sh", "-c", _CRANE, "sh", str(one.log), one.base, one.address("crane:1"), str(one.context)]


def bare(one: Stand, tar: Path, digest: str) -> list[str]:
    return ["sh", "-c", _BARE, "sh", str(one.log), one.registry.url, str(tar), digest]


def docker_version(one: Stand) -> str:
    said = json.loads(one.engine("version", "--format", "{{json .}}"))
    return f"client {said['Client']['Version']}, engine {said['Server']['Version']}, classic builder"


def crane_version() -> str:
    return _said("crane", "version")


def registry_version() -> str:
    """`docker-registry github.com/docker/distribution 2.8.2+ds1` without the middle."""
    words = _said(str(registry_server.PROGRAM), "--version").split()
    return f"{Path(words[0]).name} {words[-1]}"


def curl_version() -> str:
    return " ".join(_said("curl", "--version").split()[:2])


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def daemon_peak_mb(one: Stand) -> float | None:
    """The most memory that the engine's daemons ever had together; None for an engine that is not ours."""
    if not one.engine.pid:
        return None
    return round(sum(_peak_kb(pid) for pid in _family(one.engine.pid)) / 1024, 1)


def _family(pid: int) -> Sequence[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _family(int(child)))]


def _peak_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) if found else 0


def push(host: str, model: Path, cache: Path, base_digest: str) -> str:
    """What `train` and `package` do with a registry, without the ledger between them; the digest of the image."""
    from mmcicd_jenkins.adapters.base_images import BaseImageFiles
    from mmcicd_jenkins.adapters.registry_client import Access, Repository
    from mmcicd_jenkins.adapters.registry_store import RegistryStore
    from mmcicd_jenkins.adapters.store_places import Places
    from mmcicd_jenkins.image.manifest import Origin, join
    from mmcicd_jenkins.image.version_layer import version_layer

    def no_engine() -> None:
        raise AssertionError("the base lies in the registry")

    access = Access(host, {}, insecure=True)
    places = Places(f"{host}/ml", access, {"mmcicd.ops": ("",)}, [MODEL])
    store = RegistryStore(places, cache / "layers")
    layers = store.put_model(model)
    name = f"{host}/base/serving:1"
    bases = BaseImageFiles(cache, cache / "bases", lambda place: Repository(place, access), no_engine)
    base = bases.read(name, base_digest)
    store.take(MODEL, base.layers, bases.source(name, base_digest))
    blob, layer = version_layer(MODEL, 1)
    origin = Origin(
        model=MODEL, version=1, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=1_700_000_000
    )
    return store.put_image(MODEL, 1, join(base, layers, layer, origin), [blob])


@contextlib.contextmanager
def workplace(folder: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder, prefix="pushing-") as made:
        yield Path(made)


if __name__ == "__main__":
    host, model, cache, base_digest = sys.argv[1:]
    print(push(host, Path(model), Path(cache), base_digest))
