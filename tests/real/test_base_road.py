"""The whole road on a real registry that holds both the store and the base: what is mounted, asked, and never asked again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from base_documents import Documents, two_platforms, write_layout
from registry import needs_registry, plain_registry  # noqa: F401 - a fixture

sys.path.insert(0, str(Path(__file__).parents[1] / "system"))

from paper import MODEL, commit, make_repository, on_paper
from test_images_on_a_base import GOLDEN, Answers
from test_killed_anywhere import update_lock

from mmcicd_jenkins.stages import ROAD, run_stage
from mmcicd_jenkins.wiring import open_bench

pytestmark = [pytest.mark.real, needs_registry]


@pytest.fixture
def base(tmp_path, monkeypatch, plain_registry):  # noqa: F811
    """A repository whose store is `HOST/team-N` and whose base is `HOST/team-N-bases/serving:1`."""
    if not shutil.which("skopeo"):
        pytest.skip("skopeo is not installed: apt-get install skopeo")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MODEL_FIXTURE", str(MODEL))
    place = f"{plain_registry.host}/team-{os.getpid()}"
    documents = Documents()
    write_layout(tmp_path / "layout", documents, {"1": two_platforms(documents)})
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "-q", "--all", "--dest-tls-verify=false",
         f"oci:{tmp_path}/layout:1", f"docker://{place}-bases/serving:1"],
        check=True,
    )  # fmt: skip
    root = make_repository(tmp_path / "repo")
    with (root / "evaluate.sh").open("a") as file:
        file.write(f"printf '%s' '{json.dumps(GOLDEN)}' > \"$MMCICD_EVALUATION_DIR/golden.json\"\n")
    with (root / "mmcicd.yaml").open("a") as file:
        file.write(f"image: {place}-bases/serving:1\nstore: {{registry: {place}}}\n")
    update_lock(tmp_path)
    subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "image", "update-base"],
        cwd=root,
        check=True,
        capture_output=True,
    )
    commit(root, "a base")
    return tmp_path


def road(folder):
    bench = open_bench(folder / "repo", shared=True)
    ports = on_paper(bench, client=Answers())
    return bench, {name: run_stage(name, bench.job("double"), ports) for name in ROAD}


def test_base_and_model_change_repositories_without_moving(base, plain_registry):  # noqa: F811
    bench, outcomes = road(base)
    package = outcomes["package"]
    assert package.detail["platforms"] == ["linux/amd64", "linux/arm64/v8"]
    place = f"team-{os.getpid()}"
    log = plain_registry.log
    image = bench.store.find_image("double", 1)
    assert image.digest == package.detail["image"]
    written = bench.config.image.base
    stood = bench.bases.read(written, bench.lock.images[written])
    for layer in stood.layers:
        assert any(f"mount={layer.digest}" in line and f"{place}-bases" in line for line in decoded(log))
    release = bench.ledger.release("double", 1)
    assert release.stands_on["base"] == written
    assert release.warmup
    assert not [line for line in log.splitlines() if "GET" in line and f"{place}-bases" in line and "/blobs/" in line
                and any(layer.digest in line for layer in stood.layers)]  # fmt: skip

    before = len(lines_of(plain_registry, place))
    _, again = road(base)
    assert all(again[name].found for name in ("train", "evaluate", "package", "verify"))
    assert len(lines_of(plain_registry, place)) == before


def decoded(log):
    return [line.replace("%3A", ":").replace("%2F", "/") for line in log.splitlines()]


def lines_of(registry, place):
    """What the registry was asked about the base's repository."""
    return [line for line in decoded(registry.log) if f"/v2/{place}-bases/" in line]
