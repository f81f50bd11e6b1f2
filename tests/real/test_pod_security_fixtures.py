"""Our checker of the Pod Security Standards says of each of Kubernetes' own examples what Kubernetes says of it.

The examples are read where Go keeps modules; nothing of them is copied.
"""

import os
from pathlib import Path

import pytest
import yaml

from mmcicd_jenkins.render.pod_security import pod_security

pytestmark = pytest.mark.real

MODULE = "k8s.io/pod-security-admission@v0.34.4"
VERSION = "v1.34"
# So many there are; fewer would mean that the test looks into the wrong folder.
COUNTS = {
    ("baseline", "pass"): 14,
    ("baseline", "fail"): 34,
    ("restricted", "pass"): 22,
    ("restricted", "fail"): 74,
}


@pytest.fixture(scope="module")
def examples() -> Path:
    modules = Path(os.environ.get("GOMODCACHE") or Path.home() / "go" / "pkg" / "mod")
    folder = modules / MODULE / "test" / "testdata"
    if not folder.is_dir():
        pytest.skip(f"Kubernetes' examples are not there; to get them: go mod download {MODULE}")
    return folder


@pytest.mark.parametrize("level", ["baseline", "restricted"])
@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_every_example_is_judged_as_kubernetes_judges_it(examples: Path, level: str, verdict: str) -> None:
    files = sorted((examples / level / VERSION / verdict).glob("*.yaml"))
    wrong = [file.name for file in files if bool(pod_security(read(file), level)) is not (verdict == "fail")]
    assert wrong == []
    assert len(files) == COUNTS[level, verdict]


def test_what_is_found_is_where_the_example_differs_from_the_right_one(examples: Path) -> None:
    """Examples are named for the rule that they break: no other rule may answer for it."""
    folder = examples / "restricted" / VERSION / "fail"
    expected = {
        "allowprivilegeescalation0": "allowPrivilegeEscalation",
        "capabilities_restricted0": "capabilities",
        "hostnamespaces0": "spec.host",
        "hostpathvolumes0": "hostPath",
        "hostports0": "hostPort",
        "hostprobesandhostlifecycle0": "host",
        "restrictedvolumes0": "volumes",
        "runasnonroot0": "runAsNonRoot",
        "runasuser0": "runAsUser",
        "seccompprofile_restricted0": "seccompProfile",
        "sysctls0": "sysctls",
    }
    for name, part in expected.items():
        found = pod_security(read(folder / f"{name}.yaml"), "restricted")
        assert found, name
        assert all(part in violation.field for violation in found), (name, found)


def read(file: Path) -> dict:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert document["kind"] == "Pod"
    return document
