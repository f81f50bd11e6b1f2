"""What needs two keys, the file system or another section. Shape and kind of single values are `config.shape`'s.

Models and what the whole file shares are here, environments in `config.validate_environments`.
"""

import re
from pathlib import Path, PurePosixPath

from mmcicd_jenkins.config.findings import Findings
from mmcicd_jenkins.config.marks import KeyPath
from mmcicd_jenkins.config.metrics import LIVE_METRICS, METRICS, nearest_metric
from mmcicd_jenkins.config.places import (
    host_of,
    is_file,
    is_folder,
    is_url,
    leaves_root,
    meant_address,
    password_in,
    script_of,
)
from mmcicd_jenkins.config.schema import (
    STAGES,
    DataSection,
    FileSection,
    JenkinsSection,
    ModelSection,
    TrainSection,
)
from mmcicd_jenkins.config.suggest import nearest
from mmcicd_jenkins.config.validate_credentials import check_credentials
from mmcicd_jenkins.config.validate_environments import check_environments
from mmcicd_jenkins.config.validate_image import check_image
from mmcicd_jenkins.config.validate_store import check_store
from mmcicd_jenkins.config.validate_training import check_training
from mmcicd_jenkins.release.names import is_name
from mmcicd_jenkins.release.rules import SERVING_METRICS, Rule

# What a pipeline does beside the stages, and may take its own time.
WITHOUT_STAGE = ("plan", "retrain")
_NAME_FIX = "use lower-case letters, digits and inner dashes, at most 40"
_WITH_HOST = frozenset({"http", "https", "ssh", "s3", "gs"})


def check_sense(file: FileSection, findings: Findings, root: Path) -> None:
    """Add every mistake and warning about a file whose shape is right."""
    for name, model in file.models.items():
        path: KeyPath = ("models", name)
        _check_named(path, "model", findings)
        _check_model(path, model, findings, root)
    for name in file.environments:
        _check_named(("environments", name), "environment", findings)
    check_environments(file, findings)
    check_training(file, findings)
    check_image(file, findings, root)
    _check_shared(file, findings, root)
    check_credentials(file, findings, root)
    _check_passwords(findings)


def _check_passwords(findings: Findings) -> None:
    """In any address, wherever it stands: the file is committed and its values are shown."""
    outside = {path: text for path, (_, text) in findings.overrides.items()}
    under = findings.document.under.texts if findings.document.under else {}
    for path, text in {**under, **findings.document.texts, **outside}.items():
        place = password_in(text)
        if place:
            fix = "take it out and change it; credentials come from the environment or from Jenkins"
            findings.add(path, "a password stands in this address", fix, span=place)


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _check_named(path: KeyPath, kind: str, findings: Findings) -> None:
    name = str(path[-1])
    if is_name(name):
        return
    near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    fix = f"{_NAME_FIX}, for example `{near}`" if near else _NAME_FIX
    findings.add(path, f"{name[:60]!r} cannot be the name of {_a(kind)}", fix, on="name")


def _check_model(path: KeyPath, model: ModelSection, findings: Findings, root: Path) -> None:
    if _check_inside((*path, "path"), model.path, findings, root) and not is_folder(root / model.path):
        findings.add((*path, "path"), f"there is no folder {model.path}", "create it, or correct the path")
    _check_train((*path, "train"), model, findings, root)
    for name, source in model.data.items():
        _check_named((*path, "data", name), "data source", findings)
        _check_source((*path, "data", name), source, findings, root)
    _check_evaluation(path, model, findings)
    _check_gates((*path, "gates"), model, findings)


def _check_inside(path: KeyPath, text: str, findings: Findings, root: Path) -> bool:
    if leaves_root(text, root):
        findings.add(
            path, f"{text!r} is outside the repository", "write a path relative to the root, without .."
        )
        return False
    return True


def _check_file(path: KeyPath, text: str, findings: Findings, root: Path) -> None:
    if _check_inside(path, text, findings, root) and not is_file(root / text):
        findings.add(
            path, f"there is no file {text}", "create it, or correct the path; it is relative to the root"
        )


def _check_train(path: KeyPath, model: ModelSection, findings: Findings, root: Path) -> None:
    train = model.train
    if train.requirements:
        _check_file((*path, "requirements"), train.requirements, findings, root)
        if train.image:
            what = "an image has its packages already"
            findings.add((*path, "requirements"), what, "keep `requirements` or `image`, not both")
    _check_script(path, train, model, findings, root)


def _check_script(
    path: KeyPath, train: TrainSection, model: ModelSection, findings: Findings, root: Path
) -> None:
    script = script_of(train.command)
    if not script or is_file(root / model.path / script):
        return
    where = "the root" if model.path == "." else model.path
    elsewhere = model.path != "." and is_file(root / script)
    fix = f"commands run in {where}; " + (
        f"{script} is in the root" if elsewhere else "create it, or correct the command"
    )
    at = (*path, "command")
    findings.add(at, f"there is no file {script} in {where}", fix, span=findings.span_of(at, script))


def _check_source(path: KeyPath, source: DataSection, findings: Findings, root: Path) -> None:
    _check_address((*path, "url"), source.url, findings)
    meant = meant_address(source.url)
    if meant and not (is_file(root / source.url) or is_folder(root / source.url)):
        findings.add(
            (*path, "url"), f"{source.url} would be a path on this machine", f"did you mean {meant}?"
        )
    elif not is_url(source.url) and not (is_file(root / source.url) or is_folder(root / source.url)):
        findings.warn((*path, "url"), f"{source.url} is not there", "create it, or correct the path")
    if source.schema_file:
        _check_file((*path, "schema"), source.schema_file, findings, root)
    if source.group_by and source.test_size is None:
        findings.add(
            (*path, "group_by"),
            "nothing is divided here",
            "add `test_size`, or delete `group_by`",
            on="key",
        )
    if source.group_by and source.group_by == source.label:
        what = "the label cannot keep rows together: training and test would have no label in common"
        findings.add((*path, "group_by"), what, "name a column such as a customer's id")
    if source.role == "test" and source.test_size is not None:
        what = "this source is all test data"
        findings.add((*path, "test_size"), what, "delete `test_size`, or delete `role: test`", on="key")


def _check_address(path: KeyPath, text: str, findings: Findings) -> None:
    if text.startswith("-") or "::" in text.partition("/")[0]:
        findings.add(path, f"{text[:60]!r} is not an address", "write a path, or a URL such as https://...")
    elif text.partition("://")[0].lower() in _WITH_HOST and is_url(text) and not host_of(text):
        findings.add(path, f"{text[:60]!r} names no host", "write SCHEME://HOST/PATH")


def _check_evaluation(path: KeyPath, model: ModelSection, findings: Findings) -> None:
    evaluate = model.evaluate
    at = (*path, "evaluate")
    if evaluate.problem and evaluate.command:
        findings.add((*at, "command"), "evaluation is built in or a command, not both", "keep one of them")
    elif not evaluate.problem and not evaluate.command:
        fix = "write `evaluate: binary`, or `evaluate: {command: ./evaluate.sh}`"
        findings.add(at, "neither a kind of problem nor a command", fix, on="key")
    elif evaluate.problem and not findings.is_broken((*at, "problem")):
        _check_test_rows(path, model, findings)


def _check_test_rows(path: KeyPath, model: ModelSection, findings: Findings) -> None:
    """The built-in evaluation needs one table with a label whose rows training never sees."""
    data = (*path, "data")
    held = {name: source for name, source in model.data.items() if source.role == "test" or source.test_size}
    if not held:
        fix = "give a source `test_size: 0.2`, or add one with `role: test`"
        findings.add(data, "there are no test rows to evaluate on", fix, on="key")
        return
    labelled = [name for name, source in held.items() if source.label]
    if not labelled:
        name = next(iter(held))
        what = "evaluation needs the label of the test rows"
        findings.add((*data, name), what, "add `label: COLUMN`", on="key")
    elif len(labelled) > 1:
        what = f"two sources have labelled test rows: {labelled[0]} and {labelled[1]}"
        findings.add((*data, labelled[1]), what, "keep `test_size` or `role: test` on one of them", on="key")


def _check_gates(path: KeyPath, model: ModelSection, findings: Findings) -> None:
    seen: dict[str, int] = {}
    for index, rule in enumerate(model.gates):
        at = (*path, index)
        if rule.text in seen:
            findings.add(at, "this gate stands here twice", "delete one")
        seen[rule.text] = index
        _check_rule(at, rule, model, findings)
    if not any(rule.is_absolute and not rule.needs_server for rule in model.gates):
        example = "roc_auc >= 0.80" if model.evaluate.problem == "binary" else "accuracy >= 0.9"
        if model.evaluate.problem == "regression":
            example = "rmse <= 10"
        target = path if model.gates else path[:-1]
        what = "no gate has a limit of its own: a first version has nothing to be compared with and cannot be released"
        findings.warn(target, what, f"add a gate such as `{example}`")


def _check_rule(at: KeyPath, rule: Rule, model: ModelSection, findings: Findings) -> None:
    if rule.limit.baseline == "stable":
        what, fix = "`stable` is known only while a canary runs", "write champion instead of stable"
        findings.add(at, what, fix, span=findings.span_of(at, "stable"))
    if rule.needs_server and rule.columns:
        findings.add(
            at, f"{rule.metric} is not measured by {rule.columns[0]}", "delete the part after the limit"
        )
    if rule.needs_server and rule.limit.baseline == "champion":
        what = (
            f"{rule.metric} is measured on the new version alone, so there is no champion to compare it with"
        )
        fix = f"give it a limit of its own: {rule.metric} {rule.relation} 40 ms"
        findings.add(at, what, fix, span=findings.span_of(at, "champion"))
    problem = None if findings.is_broken((*at[:2], "evaluate")) else model.evaluate.problem
    if problem and rule.metric not in SERVING_METRICS and rule.metric not in METRICS[problem]:
        what, fix = _unknown_metric(rule.metric, problem)
        findings.add(at, what, fix, span=findings.span_of(at, rule.metric))


def _unknown_metric(name: str, problem: str) -> tuple[str, str]:
    what = f"{name} is not a metric of {problem} evaluation"
    if name in LIVE_METRICS:
        return what, "it is measured while serving: use it in environments.ENVIRONMENT.strategy.canary.checks"
    return what, nearest_metric(name, [*METRICS[problem], *SERVING_METRICS])


def _check_shared(file: FileSection, findings: Findings, root: Path) -> None:
    if file.ledger.url:
        _check_address(("ledger", "url"), file.ledger.url, findings)
    check_store(file, findings, root)
    hooks = [f"{when}_{stage}" for when in ("before", "after") for stage in STAGES]
    for name in file.hooks:
        if name not in hooks:
            near = nearest(name, hooks)
            fix = f"did you mean `{near}`?" if near else "write before_STAGE or after_STAGE"
            findings.add(("hooks", name), "there is no such place for a hook", fix, on="key")
    if file.jenkins:
        _check_jenkins(file.jenkins, findings)
        if file.jenkins.url:
            _warn_of_workspaces(file, findings)
    elif file.store.registry and not file.ledger.url:
        what = "with --shared its versions are numbered in this machine's own ledger, beside those of its own store"
        fix = "ledger: ssh://git@git.example/ml/ledger.git, or the path of a repository that all use"
        findings.warn(("store", "registry"), what, fix)


def _check_jenkins(jenkins: JenkinsSection, findings: Findings) -> None:
    at: KeyPath = ("jenkins",)
    url = jenkins.url or ""
    if url and not (url.lower().startswith(("http://", "https://")) and host_of(url)):
        findings.add((*at, "url"), f"{url[:60]!r} is not the address of a Jenkins", "write https://HOST")
    hosts = [n for n in ("github", "gitlab", "bitbucket", "git") if getattr(jenkins.source, n)]
    if len(hosts) > 1:
        findings.add((*at, "source", hosts[1]), f"{hosts[0]} is named already", "keep one of them", on="key")
    for name in jenkins.agents:
        if name not in ("default", *STAGES):
            near = nearest(name, ("default", *STAGES))
            fix = f"did you mean `{near}`?" if near else f"write default or a stage: {', '.join(STAGES)}"
            findings.add((*at, "agents", name), "there is no such stage", fix, on="key")
    for name, agent in jenkins.agents.items():
        if (agent.label is None) == (agent.pod is None):
            fix = f"write `{name}: LABEL`, or `{name}: {{pod: {{image: ...}}}}`"
            findings.add((*at, "agents", name), "an agent is a label or a pod", fix, on="key")
    for name in jenkins.timeouts:
        if name not in (*STAGES, *WITHOUT_STAGE):
            fix = f"write a stage: {', '.join((*STAGES, *WITHOUT_STAGE))}"
            findings.add((*at, "timeouts", name), "there is no such stage", fix, on="key")


def _warn_of_workspaces(file: FileSection, findings: Findings) -> None:
    """On Jenkins each job has a workspace of its own: what jobs share must lie outside."""
    store, ledger = file.store.path or "", file.ledger.url or ""
    if not file.store.registry and not PurePosixPath(store).is_absolute():
        findings.warn(
            ("store",),
            "on Jenkins each job would have a store of its own",
            "store: {path: /srv/mmcicd/store}",
        )
    if not is_url(ledger) and ":" not in ledger and not PurePosixPath(ledger).is_absolute():
        fix = "ledger: an address, or the absolute path of a repository"
        findings.warn(("ledger",), "on Jenkins each job would have a ledger of its own", fix)
    for name, place in file.environments.items():
        if place.kind == "local" and not PurePosixPath(place.folder or "").is_absolute():
            fix = f"folder: /srv/mmcicd/serve/{name}"
            findings.warn(("environments", name), "on Jenkins each job would have a server of its own", fix)
