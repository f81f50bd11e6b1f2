"""A team's own Dockerfile, built in a real engine and put into our store.

We test: the model is in the image and the store has every layer; the base's layers keep their digests; what was built is
served; a step that fails; an image that lacks what a server needs; other bytes than the model's; a context with a folder of
our name; nothing is left in the engine or in the workspace.
"""

import pytest
from docker_serving import GOLDEN

from mmcicd_jenkins.adapters.docker.builder import DockerBuilder
from mmcicd_jenkins.adapters.docker.images import EngineImages
from mmcicd_jenkins.adapters.docker.target import DockerTrial
from mmcicd_jenkins.adapters.layout.files import LayoutFiles
from mmcicd_jenkins.adapters.models.client import HttpModelClient
from mmcicd_jenkins.errors import CommandFailed, InputError, IntegrityFailed
from mmcicd_jenkins.image.artifact import read_manifest
from mmcicd_jenkins.image.digest import digest_tree
from mmcicd_jenkins.image.tree import scan
from mmcicd_jenkins.ports.builder import BuildOrder
from mmcicd_jenkins.ports.trial import TrialOrder
from mmcicd_jenkins.wiring import Silent

pytestmark = pytest.mark.real

GOOD = """\
ARG BASE
FROM ${BASE}
ARG MODEL_NAME
ARG MODEL_VERSION
ARG MODEL_DIR
ARG FLAG
COPY tools/hello.sh /usr/bin/hello
COPY ${MODEL_DIR} /models/${MODEL_NAME}/${MODEL_VERSION}
RUN ["/bin/sh", "-c", "/usr/bin/hello > /hello.txt"]
ENV MODEL_NAME=${MODEL_NAME} FLAG=${FLAG}
EXPOSE 8500 8501
USER 10001:10001
"""


class Source:
    place = None

    def __init__(self, folder):
        self.chunks = LayoutFiles(folder).chunks


@pytest.fixture
def build(networked, engine, shelf, tmp_path):
    folder = tmp_path / "context"
    (folder / "tools").mkdir(parents=True)
    script = folder / "tools" / "hello.sh"
    script.write_text("#!/bin/sh\necho hello from the build\n")
    script.chmod(0o755)
    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    (model / "double.json").write_text('{"factor": 0.5}')
    (model / "variables" / "weights").write_bytes(b"w" * 3_000_000)
    lines = []

    class Progress(Silent):
        def update(self, text, done=None):  # noqa: ARG002 - the port's
            lines.append(text)

    def run(dockerfile=GOOD, version=1, files=("Dockerfile", "tools/hello.sh")):
        (folder / "Dockerfile").write_text(dockerfile)
        order = BuildOrder(
            model="churn",
            version=version,
            context=folder,
            files=files,
            dockerfile="Dockerfile",
            arguments={"FLAG": 'it\'s "quoted" $HOME'},
            notes={
                "org.opencontainers.image.version": str(version),
                "io.mmcicd.run-id": "sha256:" + "1" * 64,
            },
            folder=model,
            model_digest=digest_tree(scan(model)),
            warmup=b"warm",
            base=shelf.base,
            source=Source(shelf.folder),
            log=tmp_path / "build.log",
        )
        builder = DockerBuilder(lambda: engine, shelf.store, tmp_path / "scratch", Progress())
        image = builder.build(order)
        shelf.store.put_image("churn", version, image)
        return image

    run.model, run.lines, run.log, run.scratch = model, lines, tmp_path / "build.log", tmp_path / "scratch"
    run.folder = folder
    yield run
    assert not (tmp_path / "scratch").exists()
    left = networked("ps", "--all", "--quiet", "--filter", "label=io.mmcicd.container=build")
    assert left == b""


def test_it_is_in_the_store_with_the_bases_own_layers_and_serves(build, engine, shelf, tmp_path):
    image = build()
    found = shelf.store.find_image("churn", 1)
    assert found.digest == image.digest
    base = shelf.base.platforms[0].layers
    layers = read_manifest(image.manifest, "image")[2]
    assert layers[: len(base)] == tuple(base)
    assert found.annotations["org.opencontainers.image.version"] == "1"
    labels = found.document["config"]["Labels"]
    assert labels["io.mmcicd.run-id"] == "sha256:" + "1" * 64
    assert 'FLAG=it\'s "quoted" $HOME' in found.document["config"]["Env"]
    assert any(line.startswith("Step ") for line in build.lines)
    assert "Step " in build.log.read_text()
    images = EngineImages(engine, shelf.store)
    trial = DockerTrial(engine, images, tmp_path / "verify", Silent(), 60)
    order = TrialOrder(
        model="churn", version=1, image=image.digest, layers=(), log=tmp_path / "s.log", memory_bytes=2**29
    )
    result = HttpModelClient().ask_golden(trial.start(order), "churn", GOLDEN)
    trial.stop()
    assert (result.matched_rest, result.matched_grpc) == (3, 3)


def test_a_step_that_fails_gives_its_last_lines(build):
    broken = GOOD.replace("/usr/bin/hello >", "echo I am a teapot; exit 3 >")
    with pytest.raises(CommandFailed, match="the build of Dockerfile failed") as error:
        build(broken)
    assert "I am a teapot" in error.value.last_lines
    assert "non-zero code: 3" in error.value.why
    assert "I am a teapot" in build.log.read_text()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("FROM ${BASE}\nNONSENSE x", "unknown instruction"), ("FROM scratch\nCOPY nothing /x", "nothing")],
)
def test_a_dockerfile_that_cannot_be_built_is_the_teams(build, wrong, said):
    with pytest.raises(CommandFailed) as error:
        build(f"ARG BASE\n{wrong}\n")
    assert said.lower() in " ".join(error.value.last_lines).lower()


def test_all_that_a_server_lacks_is_said_at_once(build):
    with pytest.raises(InputError) as error:
        build("ARG BASE\nFROM ${BASE}\nARG MODEL_DIR\nCOPY ${MODEL_DIR} /models/churn/1\n")
    for missing in ("ENV MODEL_NAME=churn", "EXPOSE 8500", "EXPOSE 8501", "USER is root"):
        assert missing in error.value.why


def test_another_model_than_the_trained_one_is_refused(build):
    with pytest.raises(IntegrityFailed, match="another model at /models/churn/1"):
        build(GOOD.replace("RUN [", 'RUN ["/bin/sh", "-c", "echo x > /models/churn/1/double.json"]\nRUN ['))


def test_a_model_elsewhere_is_told(build):
    with pytest.raises((InputError, IntegrityFailed)) as error:
        build(GOOD.replace("/models/${MODEL_NAME}", "/opt/${MODEL_NAME}"))
    assert "/models/churn/1" in f"{error.value.what} {error.value.fix}"


def test_a_link_to_the_model_is_as_good(build, shelf):
    linked = GOOD.replace(
        "COPY ${MODEL_DIR} /models/${MODEL_NAME}/${MODEL_VERSION}",
        'COPY ${MODEL_DIR} /opt/model\nRUN ["/bin/sh", "-c", "mkdir -p /models/churn && ln -s /opt/model /models/churn/7"]',
    )
    assert build(linked, version=7).digest == shelf.store.find_image("churn", 7).digest


def test_a_folder_with_our_name_in_the_context_is_refused(build):
    (build.folder / "model").mkdir()
    (build.folder / "model" / "old").write_text("x")
    with pytest.raises(InputError, match="'model' of its own"):
        build(files=("Dockerfile", "model/old"))
