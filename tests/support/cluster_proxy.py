"""An image of this machine's nginx on the shelf of a cluster: the program and its libraries, nothing else."""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from cluster_serving import Serving
from cluster_tool import UnavailableError

from mmcicd_jenkins.adapters.registry.client import Repository
from mmcicd_jenkins.image.descriptor import CONFIG, LAYER, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.reference import parse_reference


def put_nginx(serving: Serving) -> str:
    """Its address, by digest.

    Raises:
        UnavailableError: there is no nginx on this machine.
    """
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise UnavailableError(
            "nginx is missing, which stands before the servers: apt-get install nginx-light"
        )
    layer = _root(Path(program))
    config = json.dumps(
        {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "config": {"Env": [f"PATH={Path(program).parent}"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_bytes(layer)]},
        }
    ).encode()
    named = [
        Descriptor(media_type=kind, digest=digest_bytes(content), size=len(content)).to_json()
        for kind, content in ((CONFIG, config), (LAYER, layer))
    ]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": named[0], "layers": named[1:]}
    repository = Repository(parse_reference(f"{serving.root}/nginx"), serving.access)
    for content in (layer, config):
        repository.put_blob(content)
    digest = repository.put_manifest("1", json.dumps(manifest).encode(), MANIFEST)
    return f"{serving.root}/nginx@{digest}"


def _root(program: Path) -> bytes:
    linked = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        entry = tarfile.TarInfo("tmp")
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(entry)
        for path in [str(program), *re.findall(r"(/\S+) \(0x", linked)]:
            # The file itself under the name by which it is looked for.
            archive.add(os.path.realpath(path), arcname=path.lstrip("/"), recursive=False)
    return content.getvalue()
