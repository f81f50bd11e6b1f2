"""What docs/howto/supply-chain.md says one can check without us, checked so: its own commands, and other people's libraries."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from released import authority, layout, put_release, small_model

from mmcicd_jenkins.release.statements import KINDS

pytestmark = pytest.mark.real
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "supply-chain.md"
TOOLS = ("jq", "xxd", "openssl", "base64", "sha256sum")
lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
needs_tools = pytest.mark.skipif(
    bool(lacking), reason=f"apt-get install jq xxd openssl: {', '.join(lacking)} missing"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("by-hand")
    release = put_release(layout(root / "store"), small_model(root / "model"), authority(root / "repository"))
    return root, release


def commands(number):
    return re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)[number]


def by_hand(root, digest, folder, number=0):
    variables = {
        "STORE": root / "store",
        "DIGEST": digest,
        "KEYS": root / "repository/mmcicd.keys",
        "ZONE": "ops",
    }
    envelope = root / "store/blobs/sha256" / digest.removeprefix("sha256:")
    return subprocess.run(
        ["sh", "-euc", commands(number)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "envelope": str(envelope), **{k: str(v) for k, v in variables.items()}},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_tools
@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_of_the_page_prove_a_statement(place, tmp_path, kind):
    root, release = place
    done = by_hand(root, release.attestations[kind], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Signature Verified Successfully" in done.stdout
    assert f"churn:1 {release.image_digest.removeprefix('sha256:')}" in done.stdout


@needs_tools
def test_the_commands_of_the_page_refuse_another_key(place, tmp_path):
    root, release = place
    other = tmp_path / "other"
    shutil.copytree(root / "store", other / "store")
    keys = json.loads((root / "repository/mmcicd.keys").read_text())
    authority(tmp_path / "strangers")
    strangers = json.loads((tmp_path / "strangers/mmcicd.keys").read_text())
    keys["keys"][0]["public_key"] = strangers["keys"][0]["public_key"]
    (other / "repository").mkdir()
    (other / "repository/mmcicd.keys").write_text(json.dumps(keys))
    done = by_hand(other, release.attestations["release"], tmp_path)
    assert done.returncode != 0
    assert "Verified Successfully" not in done.stdout


@needs_tools
def test_the_packages_come_out_as_a_document_for_scanners(place, tmp_path):
    root, release = place
    assert by_hand(root, release.attestations["packages"], tmp_path, 1).returncode == 0
    assert json.loads((tmp_path / "packages.cdx.json").read_text())["bomFormat"] == "CycloneDX"


def test_another_implementation_of_dsse_agrees(place):
    dsse = pytest.importorskip("securesystemslib.dsse", reason="pip install securesystemslib")
    signers = pytest.importorskip("securesystemslib.signer")
    import base64

    root, release = place
    (key,) = json.loads((root / "repository/mmcicd.keys").read_text())["keys"]
    public = {"public": base64.b64decode(key["public_key"]).hex()}
    trusted = signers.SSlibKey(key["keyid"], "ed25519", "ed25519", public)
    for digest in release.attestations.values():
        content = (root / "store/blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()
        assert dsse.Envelope.from_dict(json.loads(content)).verify([trusted], 1)


def test_the_list_of_packages_is_what_cyclonedx_says(place):
    validation = pytest.importorskip(
        "cyclonedx.validation.json", reason="pip install 'cyclonedx-python-lib[json-validation]'"
    )
    schema = pytest.importorskip("cyclonedx.schema")
    import base64

    root, release = place
    digest = release.attestations["packages"].removeprefix("sha256:")
    envelope = json.loads((root / "store/blobs/sha256" / digest).read_bytes())
    document = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    found = validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(json.dumps(document))
    assert found is None
