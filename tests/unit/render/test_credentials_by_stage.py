"""Which credentials a stage is given: what it uses, of the one environment it touches, and nothing for a fork.

Aspects: least privilege by folder and stage; the kind of secret that an address asks for; ids that nobody named.
"""

from pathlib import Path

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.render.credentials import Binding, bindings

PLATFORM = Path(__file__).parents[2] / "golden" / "platform" / "mmcicd.yaml"
OPS = (
    "evaluate",
    "package",
    "verify",
    "deploy",
    "smoke",
    "propose",
    "canary",
    "promote",
    "rollback",
    "monitor",
)

MODEL = """\
  {name}:
    data: {{d: {{url: "{url}", label: y, test_size: 0.2}}}}
    train: {{command: ./train, requirements: ""}}
    evaluate: binary
    gates: [accuracy >= 0.5]
"""


def read(folder: Path, text: str, *urls: str) -> Config:
    models = "".join(
        MODEL.format(name=f"m{n}", url=url) for n, url in enumerate(urls or ("https://d/x.csv",))
    )
    (folder / "mmcicd.yaml").write_text("models:\n" + models + text, encoding="utf-8")
    return load_config(folder / "mmcicd.yaml", environ={})


def ids(found: tuple[Binding, ...]) -> set[str]:
    return {each.id for each in found}


@pytest.fixture(scope="module")
def platform() -> Config:
    return load_config(PLATFORM, environ={})


@pytest.mark.parametrize("stage", ["prepare", "test"])
def test_what_a_fork_runs_is_given_nothing(platform: Config, stage: str) -> None:
    assert bindings(platform, "ci", stage) == ()


def test_ci_holds_nothing_that_writes_history_signs_or_serves(platform: Config) -> None:
    given = {
        name
        for stage in ("data", "train", "evaluate", "retrain")
        for name in ids(bindings(platform, "ci", stage))
    }

    assert given == {"aws-ml-read", "registry-push", "ledger-read", "github-app"}


def test_only_evaluate_reads_the_ledger_in_ci(platform: Config) -> None:
    assert "ledger-read" in ids(bindings(platform, "ci", "evaluate"))
    assert ids(bindings(platform, "ci", "train")) == {"aws-ml-read", "registry-push"}


@pytest.mark.parametrize("stage", OPS)
def test_a_stage_of_ops_holds_the_one_environment_it_touches(platform: Config, stage: str) -> None:
    staging = ids(bindings(platform, "ops", stage, "staging"))

    assert "kubeconfig-production" not in staging
    assert "kubeconfig-staging" not in ids(bindings(platform, "ops", stage))
    touches = {"deploy", "smoke", "canary", "promote", "rollback", "monitor"}
    assert ("kubeconfig-staging" in staging) == (stage in touches)


def test_what_writes_the_ledger_signs_and_what_reads_does_not(platform: Config) -> None:
    signing = {stage for stage in OPS if "mmcicd-signing" in ids(bindings(platform, "ops", stage, "staging"))}

    assert signing == {"package", "deploy", "propose", "canary", "promote", "rollback", "monitor"}


def test_the_worst_day_needs_no_registry(platform: Config) -> None:
    assert ids(bindings(platform, "ops", "rollback", "production")) == {
        "ledger-write",
        "mmcicd-signing",
        "kubeconfig-production",
    }


def test_a_local_environment_fetches_the_model_itself(tmp_path: Path) -> None:
    text = "store: {registry: r.example/ml}\njenkins: {credentials: {ops: {registry: push}}}\n"

    assert ids(bindings(read(tmp_path, text), "ops", "rollback", "production")) == {"push"}


@pytest.mark.parametrize(
    ("url", "kind", "variables"),
    [
        ("s3://b/x.csv", "usernamePassword", {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}),
        ("gs://b/x.csv", "file", {"GOOGLE_APPLICATION_CREDENTIALS"}),
        ("https://d/x.csv", "usernamePassword", {"MMCICD_DATA_USER", "MMCICD_DATA_PASSWORD"}),
    ],
)
def test_data_by_their_storage(tmp_path: Path, url: str, kind: str, variables: set[str]) -> None:
    config = read(tmp_path, "jenkins: {credentials: {ci: {data: d}}}\n", url)
    (found,) = bindings(config, "ci", "data")

    assert (found.kind, found.id, set(found.variables.values())) == (kind, "d", variables)


@pytest.mark.parametrize("url", ["data/x.csv", "hdfs://n/x.csv"])
def test_data_that_jenkins_has_no_credential_for(tmp_path: Path, url: str) -> None:
    config = read(tmp_path, "jenkins: {credentials: {ci: {data: d}}}\n", url)

    assert bindings(config, "ci", "train") == ()


def test_data_of_two_storages_have_an_id_each_and_a_model_is_given_its_own(tmp_path: Path) -> None:
    text = "jenkins: {credentials: {ci: {data-s3: aws, data-https: web}}}\n"
    config = read(tmp_path, text, "s3://b/x.csv", "https://d/x.csv")

    assert ids(bindings(config, "ci", "data")) == {"aws", "web"}
    assert ids(bindings(config, "ci", "data", model="m1")) == {"web"}


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("ssh://git@g/l.git", "sshUserPrivateKey"),
        ("git@g:ml/l.git", "sshUserPrivateKey"),
        ("https://g/l.git", "usernamePassword"),
        ("../ledger.git", ""),
        ("file:///ledger.git", ""),
    ],
)
def test_a_ledger_by_its_address(tmp_path: Path, url: str, kind: str) -> None:
    text = f'ledger: "{url}"\njenkins: {{credentials: {{ops: {{ledger: l}}}}}}\n'
    found = bindings(read(tmp_path, text), "ops", "propose")

    assert [each.kind for each in found] == ([kind] if kind else [])


def test_ops_takes_over_what_only_reads_or_uploads_but_never_the_ledger(tmp_path: Path) -> None:
    text = (
        "ledger: https://g/l.git\nstore: {registry: r.example/ml}\n"
        "jenkins: {credentials: {ci: {data: d, registry: r, ledger: read}, ops: {}}}\n"
    )

    assert ids(bindings(read(tmp_path, text), "ops", "evaluate")) == {"d", "r"}


def test_without_jenkins_nothing_is_bound(tmp_path: Path) -> None:
    assert bindings(read(tmp_path, ""), "ci", "train") == ()


def test_the_symbols_are_those_of_the_step(platform: Config) -> None:
    """The names of the arguments of credentials-binding, so that a template can print them as they are."""
    known = {
        "usernamePassword": {"usernameVariable", "passwordVariable"},
        "file": {"variable"},
        "string": {"variable"},
        "sshUserPrivateKey": {"keyFileVariable", "usernameVariable"},
    }
    for stage in OPS:
        for each in bindings(platform, "ops", stage, "production"):
            assert set(each.variables) == known[each.kind]


def test_a_plan_that_nobody_approved_cannot_sign(platform: Config) -> None:
    assert "mmcicd-signing" not in ids(bindings(platform, "ops", "plan", "production"))


SERVED = """\
environments:
  lab: {kind: kubernetes, cluster: "https://l", namespace: ml}
  live:
    kind: kubernetes
    cluster: "https://k"
    namespace: ml
    proxy: {image: "nginx@sha256:%s", tls_secret: tls, users_secret: users}
store: {registry: r.example/ml}
ledger: {url: "ssh://git@g.example/l.git"}
jenkins: {credentials: {ops: {serving: models-password, serving-ca: models-ca}}}
"""


def test_a_smoke_test_says_who_it_is_where_that_is_asked(tmp_path: Path) -> None:
    config = read(tmp_path, SERVED % ("1" * 64))

    given = {
        name: {
            variable for each in bindings(config, "ops", stage, name) for variable in each.variables.values()
        }
        for stage, name in (("smoke", "live"), ("smoke", "lab"))
    }

    assert given == {
        "live": {"MMCICD_SERVING_USER", "MMCICD_SERVING_PASSWORD", "MMCICD_SERVING_CA"},
        "lab": {"MMCICD_SERVING_CA"},
    }
    assert not ids(bindings(config, "ops", "rollback", "live")) & {"models-password", "models-ca"}
