"""Every mistake is told with the place to look at and what to write instead; all of them at once."""

from pathlib import Path

import pytest

from mmcicd_jenkins.config.load import load, load_config
from mmcicd_jenkins.config.problems import render_problem
from mmcicd_jenkins.errors import ConfigInvalid, InputError, Problem

MODEL = """\
models:
  churn:
    data: {t: {url: t.csv, label: y, test_size: 0.2}}
    train: ./train.sh
    evaluate: binary
    gates: [roc_auc >= 0.8]
"""
KUBERNETES = "environments:\n  p:\n    kind: kubernetes\n    cluster: https://k:6443\n    namespace: ml\n"

# what follows the right model above -> place, part of what, part of fix
AFTER_A_MODEL = {
    "unknown key": ("stoer: {}\n", "7:1", "stoer: unknown key", "did you mean `store`?"),
    "key of elsewhere": ("replicas: 3\n", "7:1", "does not belong here", "environments.ENVIRONMENT.replicas"),
    "wrong kind": (KUBERNETES + "    replicas: three\n", "12:15", "a whole number, got 'three'", "`replicas: 3`"),
    "too small": (KUBERNETES + "    replicas: 0\n", "12:15", "a whole number ≥ 1, got `0`", "`replicas: 3`"),
    "not whole": (KUBERNETES + "    replicas: 2.5\n", "12:15", "a whole number, got `2.5`", "`replicas: 3`"),
    "true is no number": (KUBERNETES + "    replicas: yes\n", "12:15", "got `yes`", "`replicas: 3`"),
    "version without quotes": (
        "image: {base: 1.10}\n",
        "7:15",
        "expected text, got `1.10`, which YAML reads as a number",
        'put it in quotes: `base: "1.10"`',
    ),
    "norway": ("hooks: {before_train: no}\n", "7:23", "got `no`, which YAML reads as true or false", '"no"'),
    "number as a name": ("hooks: {1: x}\n", "7:9", "the key `1` can be read as something else", '"1":'),
    "unit missing": (KUBERNETES + "    approval: {expires: 3}\n", "12:25", "expected a duration", "for example 15m"),
    "unknown unit": (KUBERNETES + "    approval: {expires: 3w}\n", "12:26", "unknown unit 'w'", "ms, s, m, h or d"),
    "share above one": (
        KUBERNETES + "    monitor: {slo: {availability: 120%}}\n",
        "12:35",
        "a share between 0 and 1",
        "percentage",
    ),
    "one of several": (
        KUBERNETES + "    strategy: blue_green\n",
        "12:15",
        "expected one of rolling, canary, blue-green, got 'blue_green'",
        "did you mean `blue-green`?",
    ),
    "nothing": ("store:\n", "7:1", "store: expected a mapping, got nothing", "delete the key"),
    "canary step": (
        KUBERNETES + "    strategy: {canary: {steps: [10% 15m]}}\n",
        "12:33",
        "expected a canary step, got '10% 15m'",
        "10% for 15m",
    ),
    "duration in a step": (
        KUBERNETES + "    strategy: {canary: {steps: [10% for 15x]}}\n",
        "12:43",
        "unknown unit 'x'",
        "ms, s, m, h or d",
    ),
    "steps must grow": (
        KUBERNETES + "    strategy: {canary: {steps: [50% for 1h, 10% for 1h]}}\n",
        "12:45",
        "steps must grow",
        "more than 50%",
    ),
    "champion in a canary": (
        KUBERNETES + "    strategy: {canary: {steps: [50% for 1h], checks: [error_rate <= champion]}}\n",
        "12:69",
        "what serves beside it",
        "stable instead of champion",
    ),
    "accuracy of a canary": (
        KUBERNETES + "    strategy: {canary: {steps: [50% for 1h], checks: [eror_rate <= 1%]}}\n",
        "12:55",
        "eror_rate is not measured on a canary",
        "did you mean `error_rate`?",
    ),
    "cluster is missing": (
        "environments: {p: {kind: kubernetes, namespace: ml}}\n",
        "7:16",
        "environments.p.cluster: is missing",
        "`cluster: https://k8s.acme.example:6443`",
    ),
    "kubernetes key on a local": (
        "environments: {p: {replicas: 3}}\n",
        "7:20",
        "belongs to kind kubernetes",
        "`kind: kubernetes`",
    ),
    "local key on kubernetes": (KUBERNETES + "    rest_port: 80\n", "12:5", "belongs to kind local", "`kind: local`"),
    "ports meet": (
        "environments: {a: {rest_port: 9000}, b: {rest_port: 9000}}\n",
        "7:42",
        "port 9000 is taken by environments.a.rest_port",
        "another",
    ),
    "a port meets a default": (
        "environments: {a: {rest_port: 8501}, b: {}}\n",
        "7:38",
        "environments.b.rest_port: port 8501 is taken by environments.a.rest_port",
        "another",
    ),
    "environment name": ("environments: {Prod_EU: {}}\n", "7:16", "'Prod_EU' cannot be the name", "`prod-eu`"),
    "autoscale below replicas": (
        KUBERNETES + "    replicas: 5\n    autoscale: {max: 3}\n",
        "13:22",
        "less than the 5 replicas",
        "larger",
    ),
    "windows swapped": (
        "environments: {p: {monitor: {windows: [{rate: 2, long: 5m, short: 1h}]}}}\n",
        "7:67",
        "not shorter",
        "less than `long`",
    ),
    "hook": ("hooks: {before_promot: ./x}\n", "7:9", "no such place for a hook", "before_promote"),
    "agent": ("jenkins: {agents: {trian: gpu}}\n", "7:20", "no such stage", "did you mean `train`?"),
    "credentials folder": ("jenkins: {credentials: {prod: {a: b}}}\n", "7:25", "ci and ops", "write ci or ops"),
    "two sources": (
        "jenkins: {source: {github: a/b, gitlab: a/b}}\n",
        "7:33",
        "github is named already",
        "keep one",
    ),
    "registry with a scheme": (
        "store: {registry: https://r.example/ml}\n",
        "7:19",
        "without https://",
        "`registry: r.example/ml`",
    ),
    "registry without a host": ("store: {registry: acme/ml}\n", "7:19", "no dot and no port", "docker.io/acme/ml"),
    "registry with a tag": ("store: {registry: 'r.example/ml:3'}\n", "7:19", "is not the place of a registry", "a name"),
    "registry with an end": ("store: {registry: r.example/ml/}\n", "7:19", "is not the place of a registry", "a name"),
    "pieces too small": ("store: {registry: r.example, upload_chunk: 3Ki}\n", "7:44", "pieces of this size", "1Mi to 64Mi"),
    "pieces too large": ("store: {registry: r.example, upload_chunk: 1Gi}\n", "7:44", "pieces of this size", "1Mi to 64Mi"),
    "not true or false": ("store: {registry: r.example, insecure: perhaps}\n", "7:40", "true or false", ""),
    "password in a ledger": (
        "ledger: https://me:hunter2@git.example/l.git\n",
        "7:20",
        "a password stands in this address",
        "environment or from Jenkins",
    ),
    "transport helper": ("ledger: 'ext::sh -c id'\n", "7:9", "is not an address", "https://"),
    "option as an address": ("ledger: --upload-pack=id\n", "7:9", "is not an address", "https://"),
}  # fmt: skip


def problems_of(root: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        load_config(root, environ={})
    return caught.value.problems


@pytest.mark.parametrize("name", AFTER_A_MODEL)
def test_a_mistake_beside_the_models(name: str, write) -> None:
    text, place, what, fix = AFTER_A_MODEL[name]
    (problem,) = problems_of(write(MODEL + text, "t.csv", "train.sh"))
    assert problem.where == f"mmcicd.yaml:{place}", problem
    assert what in problem.what
    assert fix in problem.fix


# a change of the right model: old -> new, place, part of what, part of fix
IN_A_MODEL = {
    "name": ("churn:", "Churn Model:", "2:3", "'Churn Model' cannot be the name of a model", "`churn-model`"),
    "source name": ("{t:", "{../t:", "3:12", "'../t' cannot be the name of a data source", "`t`"),
    "typo": ("train:", "trian:", "4:5", "unknown key", "did you mean `train`?"),
    "missing": ("    train: ./train.sh\n", "", "2:3", "models.churn.train: is missing", "`train: python train.py`"),
    "number as a command": ("./train.sh", "3.10", "4:12", "expected text or a mapping, got `3.10`", 'train: "3.10"'),
    "list as a command": ("./train.sh", "[a, b]", "4:12", "expected text or a mapping, got a list", "train.py"),
    "no script": ("./train.sh", "python trian.py -v", "4:19", "there is no file trian.py in the root", "correct"),
    "problem": ("binary", "binari", "5:15", "expected one of binary", "did you mean `binary`?"),
    "own command as a problem": ("binary", "./score.sh", "5:15", "expected one of", "evaluate: {command: ./"),
    "both": ("binary", "{problem: binary, command: ./e}", "5:42", "built in or a command, not both", "keep one"),
    "neither": ("binary", "{slices: [a]}", "5:5", "neither a kind of problem nor a command", "`evaluate: binary`"),
    "metric": ("roc_auc >=", "rocauc >=", "6:13", "rocauc is not a metric of binary", "did you mean `roc_auc`?"),
    "metric of another problem": ("roc_auc >=", "rmse >=", "6:13", "rmse is not a metric", "metrics are: accuracy"),
    "live metric": ("roc_auc >=", "error_rate >=", "6:13", "not a metric of binary", "canary.checks"),
    "relation": ("roc_auc >= 0.8", "roc_auc > 0.8", "6:21", "expected >= or <=, got '>'", "METRIC >= LIMIT"),
    "limit": ("roc_auc >= 0.8", "roc_auc >= high", "6:24", "expected a number, got 'high'", "champion - 0.01"),
    "limit in quotes": ("roc_auc >= 0.8", "'roc_auc >= high'", "6:25", "expected a number", "champion - 0.01"),
    "stable": ("roc_auc >= 0.8", "roc_auc >= stable", "6:24", "only while a canary runs", "champion instead"),
    "gate twice": ("roc_auc >= 0.8", "roc_auc >= 0.8, roc_auc >=  0.8", "6:29", "stands here twice", "delete one"),
    "latency by country": (
        "roc_auc >= 0.8", "latency_p99 <= 9 ms in each c", "6:13", "not measured by c", "after the limit",
    ),
    "latency against the champion": (
        "roc_auc >= 0.8", "latency_p99 <= champion * 1.1", "6:28", "no champion to compare it with", "limit of its own",
    ),
    "no test rows": (", test_size: 0.2", "", "3:5", "no test rows", "`test_size: 0.2`"),
    "no label": (", label: y", "", "3:12", "needs the label", "`label: COLUMN`"),
    "test_size of test data": ("test_size: 0.2", "test_size: 0.2, role: test", "3:38", "all test data", "delete"),
    "share": ("test_size: 0.2", "test_size: 20", "3:49", "a share between 0 and 1, got the number 20", "20%"),
    "group without a division": (
        "test_size: 0.2", "role: test, group_by: z", "3:50", "nothing is divided here", "add `test_size`",
    ),
    "group by label": ("test_size: 0.2", "test_size: 0.2, group_by: y", "3:64", "cannot keep rows together", "id"),
    "schema file": ("label: y", "label: y, schema: s.yaml", "3:46", "there is no file s.yaml", "relative to the root"),
    "outside": ("label: y", "label: y, schema: ../s.yaml", "3:46", "is outside the repository", "without .."),
    "one slash": ("t.csv", "s3:/bucket/t.csv", "3:21", "would be a path", "did you mean s3://bucket/t.csv?"),
    "no slash": ("t.csv", "gs:bucket/t.csv", "3:21", "would be a path", "did you mean gs://bucket/t.csv?"),
    "secret in a url": ("t.csv", "https://u:p@h/t.csv", "3:31", "a password stands in this address", "Jenkins"),
    "requirements": (
        "./train.sh", "{command: ./t, requirements: r.txt}", "4:41", "there is no file r.txt", "relative to the root",
    ),
    "image and requirements": (
        "./train.sh", "{command: ./t, image: i, requirements: train.sh}", "4:51", "has its packages already", "both",
    ),
    "no folder": ("    train:", "    path: m\n    train:", "4:11", "there is no folder m", "correct the path"),
    "empty command": ("./train.sh", '""', "4:12", "got an empty one", "train.py"),
    "not finite": ("./train.sh", "{command: ./t, params: {a: .inf}}", "4:39", "not a finite number", "ordinary"),
    "too many digits": ("./train.sh", "{command: ./t, params: {a: 9007199254740993}}", "4:39", "more digits", '"9007'),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_A_MODEL)
def test_a_mistake_in_a_model(name: str, write) -> None:
    old, new, place, what, fix = IN_A_MODEL[name]
    assert old in MODEL
    (problem,) = problems_of(write(MODEL.replace(old, new, 1), "t.csv", "train.sh"))
    assert problem.where == f"mmcicd.yaml:{place}", problem
    assert what in problem.what
    assert fix in problem.fix


# a whole file -> place, part of what, part of fix
WHOLE = {
    "empty": ("", "1:1", "mmcicd.yaml is empty", "start with `models:`"),
    "only a comment": ("# later\n", "1:1", "mmcicd.yaml is empty", "start with `models:`"),
    "a list": ("- a\n", "1:1", "starts with a list", "start with `models:`"),
    "a text": ("hello\n", "1:1", "starts with 'hello'", "start with `models:`"),
    "no models": ("store: {}\n", "1:1", "models: is missing", "add it"),
    "empty models": ("models: {}\n", "1:9", "expected a mapping, got an empty one", "models:"),
    "nothing below models": ("models:\n", "1:1", "got nothing", "delete the key"),
    "tab": ("models:\n\ta: 1\n", "2:1", "cannot start a value", "spaces, not tabs"),
    "open quote": ("models: 'a\n", "2:1", "not closed", "close it"),
    "open bracket": ("models: [a\n", "2:1", "is missing", "[a, b]"),
    "colon": ("models: a: b\n", "1:10", "a colon is not expected here", "in quotes"),
    "missing colon": ("models:\n  a\n  b: c\n", "3:4", "a colon", "quotes"),
    "indentation": ("models:\n    a: {}\n  b: {}\n", "3:3", "indentation does not fit", "the same indentation"),
    "twice": ("models:\n  a: {}\n  a: {}\n", "3:3", "the key `a` stands here twice", "the first is on line 2"),
    "anchor": ("models: &x {}\n", "1:9", "`&x` is an anchor", "delete it"),
    "tag": ("models: !!python/object:os.system {}\n", "1:9", "is a tag", "delete it"),
    "two documents": ("models: {}\n---\nmodels: {}\n", "2:1", "a second document", "keep one"),
    "directive": ("%YAML 1.1\n---\nmodels: {}\n", "1:1", "directives", "delete the line"),
    "escape": ('models: {a: "\\e[31m"}\n', "1:13", "an escaped control character", "delete it"),
    "control": ("models: {a: \x07}\n", "1:13", "an unseen character (U+0007)", "delete it"),
    "right to left": ("models: {a: \u202ex}\n", "1:13", "an unseen character (U+202E)", "delete it"),
    "list as a key": ("? [a]\n: b\n", "1:3", "a list or mapping cannot be a key", "a name before the colon"),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_a_mistake_in_a_whole_file(name: str, write) -> None:
    text, place, what, fix = WHOLE[name]
    first = problems_of(write(text))[0]
    assert first.where == f"mmcicd.yaml:{place}", first
    assert what in first.what
    assert fix in first.fix


def test_every_mistake_at_once_in_the_order_of_the_lines(write) -> None:
    text = """\
models:
  Churn:
    data:
      t: {url: t.csv, label: y, test_size: 2, schema: gone.yaml}
    train: python gone.py
    evaluate: binary
    gates:
      - roc_auc => 0.8
      - rocauc >= 0.8
    minsamples: 3
environments:
  p: {kind: kubernets}
  q: {kind: kubernetes, cluster: https://k, namespace: n, replicas: 0}
ledger: https://u:p@h/l.git
hooks: {before_lunch: ./x}
"""
    places = [(p.line, p.column) for p in problems_of(write(text, "t.csv"))]
    assert places == [
        (2, 3), (4, 44), (4, 55), (5, 19), (8, 17), (9, 9), (10, 5), (12, 13), (13, 69), (14, 19), (15, 9),
    ]  # fmt: skip


def test_one_mistake_has_no_echo(write) -> None:
    """A wrong `test_size` is not also a missing test part, a wrong gate not also a missing one."""
    assert len(problems_of(write(MODEL.replace("0.2", "lots"), "t.csv"))) == 1
    assert len(problems_of(write(MODEL.replace("train:", "trian:"), "t.csv"))) == 1
    assert len(problems_of(write("models: {a: 5}\n"))) == 1
    assert len(problems_of(write("models: {a: {train: ./t, evaluate: binari, gates: [mine >= 1]}}\n"))) == 1


def test_marks_are_the_same_without_the_c_parser(write, monkeypatch) -> None:
    import yaml

    root = write(MODEL + KUBERNETES + '    replicas: "no"\n    namespase: é\n', "t.csv", "train.sh")
    quick = problems_of(root)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert problems_of(root) == quick


WARNINGS = {
    "first release": (
        MODEL.replace("0.8", "champion"),
        "6:12",
        "no gate has a limit of its own",
        "`roc_auc >= 0.80`",
    ),
    "data is not here": (MODEL.replace("t.csv", "u.csv"), "3:21", "u.csv is not there", "correct the path"),
    "shares": (
        MODEL + KUBERNETES + "    replicas: 3\n    strategy: {canary: {steps: [10% for 1h]}}\n",
        "13:33",
        "3 replicas cannot give 10%: 1 beside them is 25%",
        "shares that can be given: 25%, 40%, 50%",
    ),
    "insecure": (
        MODEL + "store: {registry: r.example/ml, insecure: true}\nledger: /srv/l.git\n",
        "7:43",
        "without protection",
        "store.ca",
    ),
    "authority without a registry": (
        MODEL + "store: {ca: ops/ca.pem}\n",
        "7:13",
        "there is no registry",
        "add store.registry",
    ),
    "authority that is not here": (
        MODEL + "store: {registry: r.example/ml, ca: ops/ca.pem}\nledger: /srv/l.git\n",
        "7:37",
        "there is no file ops/ca.pem here",
        "put the authority's certificate there",
    ),
    "anybody approves": (
        MODEL
        + KUBERNETES
        + "jenkins: {url: https://j}\nstore: {registry: h.example/ml}\nledger: ssh://git@h/l.git\n",
        "9:5",
        "anybody who may start a build",
        "approval: {by:",
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning(name: str, write) -> None:
    text, place, what, fix = WARNINGS[name]
    (warning,) = load(write(text, "t.csv", "train.sh"), environ={}).warnings
    assert warning.where == f"mmcicd.yaml:{place}", warning
    assert what in warning.what
    assert fix in warning.fix


def test_a_password_is_never_shown(write) -> None:
    secret = "hunter2"
    text = MODEL + f"ledger: https://me:{secret}@git.example/l.git\nimag: s3://me:{secret}@b/x\n"
    with pytest.raises(ConfigInvalid) as caught:
        load_config(write(text, "t.csv", "train.sh"), environ={"MMCICD_STORE_PATH": f"https://me:{secret}@x"})
    told = (
        "".join(map(render_problem, caught.value.problems)) + str(caught.value) + repr(caught.value.to_json())
    )
    assert secret not in told
    assert told.count("a password stands in this address") >= 2


def test_a_command_may_name_variables_in_an_address(write) -> None:
    root = write(MODEL.replace("./train.sh", "./train.sh https://$USER:$TOKEN@h/x"), "t.csv", "train.sh")
    assert load_config(root, environ={}).models["churn"].train.command.endswith("@h/x")


def test_a_symbolic_link_does_not_lead_outside(write, tmp_path: Path) -> None:
    root = write(MODEL.replace("label: y", "label: y, schema: link.yaml"), "t.csv", "train.sh")
    (tmp_path / "secret.yaml").touch()
    (root / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (problem,) = problems_of(root)
    assert "outside the repository" in problem.what


def test_names_and_links_that_the_file_system_refuses(write) -> None:
    root = write(MODEL.replace("label: y", f"label: y, schema: {'s' * 5000}"), "t.csv", "train.sh")
    assert "there is no file sss" in problems_of(root)[0].what
    root = write(MODEL.replace("label: y", "label: y, schema: circle"), "t.csv", "train.sh")
    (root / "circle").symlink_to("circle")
    assert "there is no file circle" in problems_of(root)[0].what


def test_a_link_out_of_the_checkout_is_no_default(write, tmp_path: Path) -> None:
    root = write(MODEL, "t.csv", "train.sh")
    (tmp_path / "elsewhere.txt").touch()
    (root / "requirements.txt").symlink_to(tmp_path / "elsewhere.txt")
    assert load_config(root, environ={}).models["churn"].train.requirements == ""


def test_a_rule_that_stands_alone_keeps_its_columns(write) -> None:
    (problem,) = problems_of(
        write(MODEL.replace("[roc_auc >= 0.8]", "roc_auc >=   stable"), "t.csv", "train.sh")
    )
    assert problem.where == "mmcicd.yaml:6:25"
    assert problem.what.startswith("models.churn.gates: `stable`")


def test_a_file_that_was_named_and_is_not_there(churn: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        load_config(churn / "other.yaml", environ={})


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no mmcicd\.yaml") as caught:
        load_config(tmp_path, environ={})
    assert "mmcicd-jenkins generate" in caught.value.fix


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "mmcicd.yaml").symlink_to("/proc/self/mem")
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path, environ={})
