"""The stand of the push benchmarks: one registry for all, a Docker engine, a base image, a model; and the contenders.

All push the same files onto the same base, which the registry and the engine have already, and leave the registry as
they found it.

Needed: docker-registry, a Docker engine, and what the peers of a benchmark need (crane, curl); `make test-real`
installs them. Debian 12's registry was built by a Go that hashes slowly, which limits whoever is faster than that.
MMCICD_TEST_REGISTRY names another program (`go install github.com/distribution/distribution/v3/cmd/registry@v3.1.2`);
its version stands in the result.
"""

import contextlib
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
from benchmarks.push_ours import MODEL

# The registry and the engine of the tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import docker_server
import registry_server

MB = 10**6
_BASE_LAYERS = 3
_DOCKERFILE = "FROM {base}\nCOPY models /models\n"
# Literal scripts; what varies comes as arguments.
_DOCKER = (
    'exec 2>"$1"; docker --host "$2" build --quiet --tag "$3" "$4" && docker --host "$2" push --quiet "$3"'
)
_BUILDKIT = 'exec 2>"$1"; DOCKER_BUILDKIT=1 "$5" --host "$2" build --quiet --tag "$3" "$4" && "$5" --host "$2" push --quiet "$3"'
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
        fill(folder / f"library-{number}", size // _BASE_LAYERS)
        lines.append(f"COPY library-{number} /lib/")
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    engine("build", "--quiet", "--tag", name, str(folder))
    pushed = engine("push", name).decode()
    found = re.search(r"digest: (sha256:[0-9a-f]{64})", pushed)
    assert found, pushed
    return found[1]


def fill(path: Path, size: int) -> None:
    """Bytes that do not compress, in pieces: what the parent holds counts as its children's."""
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
        sys.executable, "-m", "benchmarks.push_ours",
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


def buildkit(one: Stand, client: str) -> list[str]:
    where = one.address("buildkit:1")
    return ["sh", "-c", _BUILDKIT, "sh", str(one.log), one.engine.host, where, str(one.context), client]


def buildkit_client() -> str:
    """A client that can build by BuildKit: one with the buildx plugin, or one before 23, which needs none; "" for none."""
    with_plugin = subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False)
    if with_plugin.returncode == 0:
        return "docker"
    for client in ("docker", "/usr/bin/docker"):
        found = re.search(r"version (\d+)\.", _said(client, "--version")) if shutil.which(client) else None
        if found and int(found[1]) < 23:
            return client
    return ""


def crane(one: Stand) -> list[str]:
    return ["sh", "-c", _CRANE, "sh", str(one.log), one.base, one.address("crane:1"), str(one.context)]


def bare(one: Stand, tar: Path, digest: str) -> list[str]:
    return ["sh", "-c", _BARE, "sh", str(one.log), one.registry.url, str(tar), digest]


def docker_version(one: Stand, client: str = "") -> str:
    """Of the classic builder, or with `client` of BuildKit."""
    engine = one.engine("version", "--format", "{{.Server.Version}}").decode().strip()
    said = _said(client or "docker", "--version").split()[2].rstrip(",")
    return f"client {said}, engine {engine}, {'BuildKit' if client else 'classic builder'}"


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


@contextlib.contextmanager
def workplace(folder: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder, prefix="pushing-") as made:
        yield Path(made)
