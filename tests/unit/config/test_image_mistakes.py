"""What is wrong with `image` is said where it stands."""

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.errors import ConfigInvalid

FILE = "models: {m: {train: ./t, evaluate: {command: ./e}}}\nimage: "


def loaded(folder, image):
    (folder / "mmcicd.yaml").write_text(FILE + image)
    return load_config(folder, environ={})


@pytest.mark.parametrize(
    ("image", "what", "column"),
    [
        ("'https://registry.example/serving:1'", "images have no scheme", 8),
        ("{base: 'Serving:1'}", "not the name of an image", 15),
        ("{base: 'oci:folder'}", "names no image in a layout", 15),
        ("{base: b, gpu_base: 'docker:A'}", "not the name of an image", 28),
        ("{base: b, verify_with: ['b:2', 'oci:folder']}", "names no image in a layout", 39),
        ("{base: b, verify_with: ['b:2', 'b:2']}", "stands here twice", 39),
        ("{base: b, verify_with: b}", "is image.base, which is verified in any case", 31),
        ("{base: b, platforms: linux/amd64/v1/x}", "not a platform", 29),
        ("{base: b, platforms: [linux/amd64, windows/amd64]}", "is no Linux", 43),
        ("{base: b, user: root}", "cannot see that a name is not root", 24),
        ("{base: b, user: '1:2:3'}", "is no number", 24),
    ],
)
def test_a_mistake_has_its_place_and_a_fix(tmp_path, image, what, column):
    with pytest.raises(ConfigInvalid) as e:
        loaded(tmp_path, image)
    (problem,) = e.value.problems
    assert what in problem.what
    assert (problem.line, problem.column) == (2, column)
    assert problem.fix


def test_models_on_gpus_stand_on_their_own_base(tmp_path):
    image = loaded(tmp_path, "{base: b:1, gpu_base: b:1-gpu}").image
    serving = load_config(tmp_path, environ={}).models["m"].serving
    assert image.base_for(serving) == "b:1"
    (tmp_path / "mmcicd.yaml").write_text(
        FILE.replace("evaluate:", "serving: {gpus: 1}, evaluate:") + "{base: b:1, gpu_base: b:1-gpu}"
    )
    config = load_config(tmp_path, environ={})
    assert config.image.base_for(config.models["m"].serving) == "b:1-gpu"
    assert loaded(tmp_path, "b:1").image.base_for(config.models["m"].serving) == "b:1"


def test_a_version_for_some_models_is_a_further_one_for_the_others(tmp_path):
    image = loaded(tmp_path, "{base: b:1, gpu_base: b:1-gpu, verify_with: [b:1, b:1-gpu]}").image
    assert image.verify_with == ("b:1", "b:1-gpu")
    assert loaded(tmp_path, "{verify_with: b:1}").image.verify_with == ("b:1",)
    assert loaded(tmp_path, "b:1").image.verify_with == ()


@pytest.mark.parametrize(
    ("image", "what", "column"),
    [
        ("{builder: docker}", "there is no Dockerfile to build", 18),
        ("{dockerfile: serving/Dockerfile}", "made without a Dockerfile", 9),
        ("{build_args: {A: b}}", "made without a Dockerfile", 9),
        ("{builder: docker, dockerfile: nothing}", "there is no file nothing", 38),
        ("{builder: docker, dockerfile: ../Dockerfile}", "outside the repository", 38),
        ("{builder: docker, dockerfile: serving/Dockerfile, context: tools}", "not in the folder", 67),
        ("{builder: docker, dockerfile: serving/Dockerfile, build_args: {BASE: x}}", "is given by us", 71),
        (
            "{builder: docker, dockerfile: serving/Dockerfile, build_args: {'a b': x}}",
            "cannot be a build",
            71,
        ),
    ],
)
def test_a_dockerfile_belongs_to_its_builder(tmp_path, image, what, column):
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "Dockerfile").touch()
    with pytest.raises(ConfigInvalid) as e:
        loaded(tmp_path, image)
    (problem,) = e.value.problems
    assert what in problem.what
    assert (problem.line, problem.column) == (2, column)


def test_a_build_is_given_the_folder_of_its_dockerfile(tmp_path):
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "Dockerfile").touch()
    (tmp_path / "Dockerfile").touch()
    written = "{builder: docker, dockerfile: serving/Dockerfile"
    assert loaded(tmp_path, written + "}").image.context == "serving"
    assert loaded(tmp_path, written + ", context: .}").image.context == "."
    assert loaded(tmp_path, "{builder: docker, dockerfile: Dockerfile}").image.context == "."
