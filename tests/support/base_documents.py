"""Base images for tests: documents of every shape that registries hold, with layers that are real tars."""

import gzip
import io
import json
import tarfile

from mmcicd_jenkins.image.descriptor import CONFIG, INDEX, LAYER_GZIP, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ENTRYPOINT = "/usr/bin/tf_serving_entrypoint.sh"


def tar_of(files):
    """A layer's tar: path -> (bytes, mode)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, (content, mode) in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


class Documents(dict):
    """Blobs by digest. `read` is what `read_base` wants; `add` gives a blob's entry in a document."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def read(self, named: Descriptor) -> bytes:
        self.asked.append(named.digest)
        return self[named.digest]

    def add(self, content, media_type, **more):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self[digest_bytes(content)] = content
        return {"mediaType": media_type, "digest": digest_bytes(content), "size": len(content), **more}

    def image(
        self, architecture="amd64", variant="", *, docker=False, text=b"base", os="linux", config=None, **more
    ):
        """One image; returns its entry."""
        layer = tar_of({"usr/bin/tf_serving_entrypoint.sh": (text + architecture.encode(), 0o755)})
        blob = self.add(gzip.compress(layer, mtime=0), DOCKER_LAYER if docker else LAYER_GZIP)
        document = {
            "architecture": architecture,
            "os": os,
            **({"variant": variant} if variant else {}),
            "created": "2025-03-01T10:00:00.123Z",
            "config": {
                "Entrypoint": [ENTRYPOINT],
                "Env": ["PATH=/usr/bin", "MODEL_NAME=model", "MODEL_BASE_PATH=/models"],
                "Labels": {"tensorflow_serving_github_branchtag": "2.20.0"},
            },
            "rootfs": {"type": "layers", "diff_ids": [digest_bytes(layer)]},
            "history": [{"created_by": "a"}],
            **(config or {}),
        }
        config_entry = self.add(document, DOCKER_CONFIG if docker else CONFIG)
        kind = DOCKER if docker else MANIFEST
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": config_entry, "layers": [blob]}
        return self.add(manifest | more, kind)

    def index(self, entries, *, docker=False, **more):
        kind = DOCKER_LIST if docker else INDEX
        return self.add({"schemaVersion": 2, "mediaType": kind, "manifests": entries} | more, kind)


def for_platform(entry, architecture, variant="", os="linux"):
    """An entry of an index, with the platform that it is for."""
    platform = {"architecture": architecture, "os": os} | ({"variant": variant} if variant else {})
    return {**entry, "platform": platform}


def attestation(documents, entry):
    """What BuildKit puts beside an image."""
    made = documents.image(text=b"attestation", config={"architecture": "unknown", "os": "unknown"})
    notes = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": entry["digest"],
    }
    return {**for_platform(made, "unknown", os="unknown"), "annotations": notes}


def two_platforms(documents, *, docker=False):
    """An index for amd64 and arm64 with an attestation of each; returns its entry."""
    amd = documents.image(docker=docker)
    arm = documents.image("arm64", "v8", docker=docker)
    entries = [for_platform(amd, "amd64"), for_platform(arm, "arm64", "v8")]
    return documents.index(
        [*entries, attestation(documents, amd), attestation(documents, arm)], docker=docker
    )


def named(entry):
    return Descriptor(media_type=entry["mediaType"], digest=entry["digest"], size=entry["size"])


def write_layout(folder, documents, tags):
    """An OCI layout on disk; `tags` are entries by tag."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for digest, content in documents.items():
        (blobs / digest.removeprefix("sha256:")).write_bytes(content)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    entries = [
        {**entry, "annotations": {"org.opencontainers.image.ref.name": tag}} for tag, entry in tags.items()
    ]
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return folder
