"""Versions that a cluster can really run: images in a registry on loopback that its node pulls by digest.

`with shelf(cluster, folder) as serving:`, then `serving.put("churn", 7, factor=2, fault="errors")` is the address of an
image just as `package` makes it, on a base with the program of `serving_program` where TF Serving has its own. Two
versions differ by digest alone. It knows nothing of pytest.
"""

import contextlib
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cluster_tool import Cluster, UnavailableError
from registry_server import Registry, serve

from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.adapters.registry.repositories import Places
from mmcicd_jenkins.adapters.registry.store import RegistryStore
from mmcicd_jenkins.image.base_image import BaseImage, read_base
from mmcicd_jenkins.image.descriptor import CONFIG, LAYER, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.manifest import Origin, join
from mmcicd_jenkins.image.reference import parse_reference
from mmcicd_jenkins.image.version_layer import version_layer

SOURCE = Path(__file__).parent / "serving_program"
PROGRAM = "usr/bin/tensorflow_model_server"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def program() -> Path:
    """The server as one static file, built once for all checkouts."""
    digest = hashlib.sha256()
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    base = os.environ.get("XDG_CACHE_HOME", "")
    cache = (Path(base) if base.startswith("/") else Path.home() / ".cache") / "mmcicd-cluster"
    target = cache / f"serving-{digest.hexdigest()[:12]}"
    if not target.exists():
        _build(target)
    return target


def _build(target: Path) -> None:
    if not shutil.which("go"):
        raise UnavailableError("Go is missing, which builds the server of these pods: https://go.dev/dl")
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f"{target.name}.{os.getpid()}")
    own = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-buildvcs=false"}
    command = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(half), "."]
    done = subprocess.run(
        command, cwd=SOURCE, env=os.environ | own, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"the server of the pods could not be built: {done.stderr}")
    half.replace(target)


@dataclass
class Serving:
    """A shelf of versions. `root` is what `store.registry` is to such a store, `base` what `image.base` is."""

    registry: Registry
    folder: Path
    access: Access
    base: str = ""
    bases: BaseImage = field(default_factory=BaseImage)

    @property
    def root(self) -> str:
        return f"{self.registry.host}/ml"

    def put(self, model: str, version: int, **double: object) -> str:
        """The address, by digest, of a version that multiplies by its own number if `double` says nothing else."""
        files = self.folder / f"{model}-{version}-{len(list(self.folder.iterdir()))}"
        files.mkdir(parents=True)
        (files / "double.json").write_text(json.dumps({"factor": version, **double}))
        store = RegistryStore(
            Places(self.root, self.access, {"mmcicd.ops": ("",)}, [model]), self.folder / "cache"
        )
        layers = store.put_model(files)
        blob, layer = version_layer(model, version)
        origin = Origin(
            model=model, version=version, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=10**9
        )
        image = join(self.bases, layers, layer, origin)
        store.take(model, self.bases.layers, self._repository("base"))
        return store.address(model, store.put_image(model, version, image, [blob]))

    def _repository(self, name: str) -> Repository:
        return Repository(parse_reference(f"{self.root}/{name}"), self.access)

    def put_base(self) -> None:
        layer, base = _root(program()), self._repository("base")
        config = json.dumps(_config(layer)).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _descriptor(CONFIG, config).to_json(),
                "layers": [_descriptor(LAYER, layer).to_json()],
            }
        ).encode()
        for content in (layer, config):
            base.put_blob(content)
        base.put_manifest("1", manifest, MANIFEST)
        self.base = f"{self.root}/base@{digest_bytes(manifest)}"
        documents = {digest_bytes(content): content for content in (config, manifest)}
        self.bases = read_base(_descriptor(MANIFEST, manifest), lambda one: documents[one.digest], self.base)


def _descriptor(kind: str, content: bytes) -> Descriptor:
    return Descriptor(media_type=kind, digest=digest_bytes(content), size=len(content))


def _config(layer: bytes) -> dict[str, object]:
    machine = platform.machine()
    return {
        "architecture": _MACHINES.get(machine, machine),
        "os": "linux",
        "config": {"Entrypoint": [f"/{PROGRAM}"], "Env": ["PATH=/usr/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_bytes(layer)]},
    }


def _root(executable: Path) -> bytes:
    """The root file system: the program, and the folder that a read-only container mounts."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, mode in (("tmp", 0o1777), ("usr", 0o755), ("usr/bin", 0o755), ("models", 0o755)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        entry = tarfile.TarInfo(PROGRAM)
        entry.size, entry.mode = executable.stat().st_size, 0o755
        with executable.open("rb") as file:
            archive.addfile(entry, file)
    return content.getvalue()


@contextlib.contextmanager
def shelf(cluster: Cluster, folder: Path) -> Iterator[Serving]:
    """A registry that the cluster's node pulls from, until the end of the block.

    Raises:
        UnavailableError: this cluster's nodes cannot reach a registry on our loopback, or something is missing here.
    """
    if not cluster.is_own:
        raise UnavailableError(
            "Only a node of our own pulls from a registry on loopback: unset KUBECONFIG, then `make cluster`."
        )
    program()
    with serve(folder / "registry") as registry:
        cluster.trust(registry.host)
        models = folder / "models"
        models.mkdir()
        access = Access(registry.host, {"HOME": "/nonexistent"}, insecure=True)
        serving = Serving(registry, models, access)
        serving.put_base()
        yield serving
