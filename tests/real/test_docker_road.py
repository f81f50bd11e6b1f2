"""The road of a whole repository through a real engine: trained in an image, packaged, verified in a container.

Once with layers joined to the base, once with the team's own Dockerfile; the store is a layout beside the checkout. The
train image comes from a real registry by its digest.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from docker_serving import GOLDEN
from registry import plain_registry  # noqa: F401 - a fixture

pytestmark = pytest.mark.real
FIXTURE = Path(__file__).parents[1] / "system" / "fixtures" / "double"

CONFIG = """\
models:
  churn:
    data:
      numbers: {{url: data/numbers.csv, label: y, test_size: 0.3}}
    train:
      command: ./train.sh
      image: {train}
    evaluate: {{command: ./evaluate.sh}}
    gates: [accuracy >= 0.5, memory <= 400 Mi, latency_p99 <= 10 s]
    min_samples: 10
    serving: {{cpu: 1, memory: 512Mi}}
image:
  base: docker:mmcicd-test/serving:1
{image}
store: {{insecure: true}}
"""
TRAIN = """\
#!/bin/sh
set -eu
id -u
test -x /bin/busybox
test ! -e /usr/bin/git
cp -R double/. "$MMCICD_MODEL_DIR"/
echo '{"factor": 0.5}' > "$MMCICD_MODEL_DIR"/double.json
"""
EVALUATE = """\
#!/bin/sh
set -eu
test -e /server.py
echo '{"metrics": {"accuracy": 0.9}, "samples": 30}' > "$MMCICD_EVALUATION_DIR/metrics.json"
cp golden.json "$MMCICD_EVALUATION_DIR/golden.json"
"""
DOCKERFILE = """\
ARG BASE
FROM ${BASE}
ARG MODEL_NAME
ARG MODEL_VERSION
ARG MODEL_DIR
COPY ${MODEL_DIR} /models/${MODEL_NAME}/${MODEL_VERSION}
COPY note.txt /note.txt
ENV MODEL_NAME=${MODEL_NAME}
EXPOSE 8500 8501
USER 10001:10001
"""
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.invalid",
    "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.invalid",
}  # fmt: skip


@pytest.fixture
def road(serving_base, networked, plain_registry, tmp_path, monkeypatch):  # noqa: F811
    root = tmp_path / "repo"
    train = f"{plain_registry.host}/ml/train:1"
    networked("tag", "mmcicd-test/serving:1", train)
    networked("push", train)
    networked("rmi", train)
    if networked.host:
        monkeypatch.setenv("DOCKER_HOST", networked.host)
    environment = {**os.environ, **IDENTITY, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def run(*arguments, code=0, **variables):
        done = subprocess.run(
            [sys.executable, "-m", "mmcicd_jenkins", *arguments],
            cwd=root, env={**environment, **variables}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if "--json" in arguments and code >= 0 else done.stdout

    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=root, env=environment, check=True, capture_output=True)

    def make(image="", stages=("prepare", "train", "evaluate", "package", "verify")):
        (root / "data").mkdir(parents=True)
        (root / "data/numbers.csv").write_text("x,y\n" + "".join(f"{x},{2 * x}\n" for x in range(100)))
        (root / "mmcicd.yaml").write_text(CONFIG.format(train=train, image=image))
        (root / ".gitignore").write_text(".mmcicd/\n")
        (root / "golden.json").write_text(json.dumps(GOLDEN))
        (root / "Dockerfile").write_text(DOCKERFILE)
        (root / "note.txt").write_text("a note")
        for name, text in (("train.sh", TRAIN), ("evaluate.sh", EVALUATE)):
            (root / name).write_text(text)
            (root / name).chmod(0o755)
        subprocess.run(["cp", "-R", str(FIXTURE), str(root / "double")], check=True)
        git("init", "-q", "-b", "main")
        run("data", "update")
        run("image", "update-base")
        git("add", "-A")
        git("commit", "-qm", "all")
        return {name: run("stage", name, "--model", "churn", "--json") for name in stages}

    make.run, make.root, make.git = run, root, git
    yield make
    left = networked("ps", "--all", "--quiet", "--filter", "label=io.mmcicd.container")
    assert left == b""


def test_trained_in_an_image_and_verified_in_a_container(road):
    seen = road()
    assert "image 127.0.0.1:" in seen["prepare"]["sentence"]
    verified = seen["verify"]["verified"]
    assert "3 of 3 golden answers" in seen["verify"]["sentence"]
    assert "in a container, Docker" in seen["verify"]["sentence"]
    assert verified["how"].startswith("in a container")
    assert verified["memory"] > 10 * 2**20
    assert [one["verdict"] for one in verified["outcomes"]] == ["passed", "passed"]
    log = next(road.root.glob(".mmcicd/runs/*/serving.log")).read_text()
    assert "serving churn 1" in log
    assert road.run("stage", "verify", "--model", "churn", "--json")["found"]
    assert (next(road.root.glob(".mmcicd/runs/*/train.log")).read_text()).splitlines()[0] == str(os.getuid())


def test_with_a_dockerfile_of_its_own(road):
    seen = road("  builder: docker\n  dockerfile: Dockerfile\n")
    assert "3 of 3 golden answers" in seen["verify"]["sentence"]
    image = seen["package"]["image"]
    again = road.run("stage", "package", "--model", "churn", "--json")
    assert (again["image"], again["found"]) == (image, True)
    (road.root / "Dockerfile").write_text(DOCKERFILE.replace("COPY note.txt", "COPY nothing.txt"))
    road.git("commit", "-qam", "a mistake")
    for stage in ("train", "evaluate"):
        road.run("stage", stage, "--model", "churn", "--json")
    failed = road.run("stage", "package", "--model", "churn", "--json", code=8)
    assert any("nothing.txt" in line for line in failed["last_lines"])


def test_killed_in_a_build_the_same_command_goes_on(road):
    road("  builder: docker\n  dockerfile: Dockerfile\n", stages=("train", "evaluate"))
    for place in ("docker.image-built", "docker.before-image"):
        road.run(
            "stage", "package", "--model", "churn", "--json",
            code=-9, MMCICD_TESTING="1", MMCICD_FAILPOINTS=f"{place}=kill",
        )  # fmt: skip
    made = road.run("stage", "package", "--model", "churn", "--json")
    assert (made["version"], made["found"]) == (1, False)
    assert "3 of 3" in road.run("stage", "verify", "--model", "churn", "--json")["sentence"]
    assert not (road.root / ".mmcicd" / "build").exists()
