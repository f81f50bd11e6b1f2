"""The whole directory of generated files, story by story; the same bytes on any machine; literals that hold."""

import difflib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.render.kubernetes import manifest_text, render_manifest
from mmcicd_jenkins.render.scaffold import managed_files

HERE = Path(__file__).parent
STORIES = sorted(file.parent.name for file in HERE.glob("*/mmcicd.yaml"))
# A release must change no expected file.
VERSION = "9.9.9"
DIGEST = f"sha256:{'7' * 64}"


def generated(story: str) -> dict[str, str]:
    config = load_config(HERE / story / "mmcicd.yaml", environ={})
    files = {file.path: file.content.decode() for file in managed_files(config, VERSION)}
    return files | in_clusters(config)


def in_clusters(config: Config) -> dict[str, str]:
    """What version 7 of each model is in each cluster."""
    return {
        f"kubernetes/{place.name}/{model.name}.yaml": manifest_text(
            render_manifest(config, model, place, 7, f"{config.store.registry}/{model.name}@{DIGEST}")
        )
        for place in config.environments.values()
        for model in config.models.values()
        if place.kind == "kubernetes"
    }


def expected(story: str) -> dict[str, str]:
    folder = HERE / story / "expected"
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in files}


def write_expected(story: str, texts: dict[str, str]) -> None:
    folder = HERE / story / "expected"
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def difference(old: dict[str, str], new: dict[str, str]) -> str:
    lines: list[str] = []
    for path in sorted({*old, *new}):
        before, after = old.get(path, "").splitlines(), new.get(path, "").splitlines()
        lines += difflib.unified_diff(before, after, f"expected/{path}", f"generated/{path}", lineterm="")
    return "\n".join([*lines, "", (HERE / "README.md").read_text(encoding="utf-8")])


@pytest.mark.parametrize("story", STORIES)
def test_story(story: str, update_golden: bool) -> None:
    texts = generated(story)
    if update_golden:
        write_expected(story, texts)

    assert texts == expected(story), difference(expected(story), texts)


def test_the_same_bytes_whatever_the_machine(tmp_path: Path) -> None:
    """Hash seed, time zone, locale, working directory and our own variables leave no trace."""
    code = (
        "import sys, hashlib, pathlib\n"
        "from mmcicd_jenkins.config.load import load_config\n"
        "from mmcicd_jenkins.render.scaffold import managed_files\n"
        "for story in sys.argv[1:]:\n"
        "    config = load_config(pathlib.Path(story, 'mmcicd.yaml'), environ={})\n"
        "    for f in managed_files(config, '1'):\n"
        "        print(f.path, hashlib.sha256(f.content).hexdigest())\n"
    )
    seen = set()
    for seed, zone, folder in (("0", "UTC", tmp_path), ("77", "Asia/Kathmandu", HERE)):
        variables = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C", "BUILD_URL": seed}
        command = [sys.executable, "-c", code, *(str(HERE / story) for story in STORIES)]
        seen.add(subprocess.run(command, env=variables, cwd=folder, check=True, capture_output=True).stdout)

    assert len(seen) == 1


@pytest.mark.parametrize("story", STORIES)
def test_no_date_no_version_no_interpolation(story: str) -> None:
    for path, text in generated(story).items():
        if not path.endswith(".Jenkinsfile"):
            continue
        assert text.isascii()
        assert VERSION not in text
        for line in text.splitlines():
            code, _, comment = line.partition("//")
            assert '"""' not in code
            # A comment is ours alone, and Groovy 2.4 decodes \u inside it before anything else.
            assert "\\" not in comment or "'" in code
            if "sh(" in line or line.strip().startswith("sh "):
                assert '"' not in line.partition("script: ")[2].partition("'")[0]
