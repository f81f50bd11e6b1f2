"""The keys of `mmcicd.yaml` as people write them. `config.model` is what becomes of them.

Only shape and kind of single values are decided here; what needs two keys, the file system or another
section is in `config.validate`.
"""

from typing import Annotated, Any, ClassVar, Literal

from mmcicd_jenkins.config.schema_environments import EnvironmentSection
from mmcicd_jenkins.config.schema_jenkins import AgentSection, BranchesSection
from mmcicd_jenkins.config.schema_retention import RetentionSection
from mmcicd_jenkins.config.schema_training import JobSection
from mmcicd_jenkins.config.section import (
    Cron,
    Duration,
    Gates,
    Kind,
    Number,
    Section,
    Share,
    Size,
    Text,
    Texts,
    Truth,
    Whole,
    key,
    required,
)

STAGES = (
    "prepare", "test", "data", "train", "evaluate", "package", "verify", "deploy", "smoke", "propose", "canary",
    "promote", "rollback", "monitor",
)  # fmt: skip


class DataSection(Section):
    """Where a model's data is. A URL may stand alone."""

    shorthand: ClassVar[str] = "url"

    url: Text = required(
        "A path relative to the root of the repository, or a URL: https, s3, gs and whatever fsspec reads. A "
        "file is a table (CSV or Parquet); a folder is handed over as it is. Pinned by digest in mmcicd.lock.",
        "s3://acme-ml/churn/customers.csv",
    )
    label: Text | None = key(None, "The column that the model predicts.", "churned")
    test_size: Share | None = key(
        None, "The share of rows held out for evaluation. Training never sees them.", 0.2
    )
    group_by: Text | None = key(
        None,
        "Rows with the same value in this column stay together, all in training or all in test.",
        "customer_id",
    )
    role: Literal["train", "test"] = key("train", "`test`: this whole source is test data.", "test")
    schema_file: Text | None = key(
        None,
        "A file that says what columns, types and ranges the data must have.",
        "data.schema.yaml",
        alias="schema",
    )


class TrainSection(Section):
    """How a model is trained. The command may stand alone."""

    shorthand: ClassVar[str] = "command"

    command: Text = required(
        "Your training, in any language, run by /bin/sh in the model's path. It writes a SavedModel to "
        "$MMCICD_MODEL_DIR.",
        "python train.py",
    )
    requirements: str | None = key(
        None,
        "The requirements file of the environment it runs in. Default: requirements.txt in the model's path or in "
        'the root, when there is one. "" runs in the environment that is there.',
        "requirements.txt",
    )
    image: Text | None = key(
        None,
        "A container image to train in, instead of `requirements`.",
        "registry.acme.example/ml/train:3.2",
    )
    params: Annotated[dict[str, Any], Kind("mapping")] = key(
        {}, "Parameters, handed over as JSON in the file $MMCICD_PARAMS.", {"epochs": 40}
    )
    seed: Whole = key(0, "The seed, handed over as $MMCICD_SEED.", 7, ge=0, le=2**31 - 1)
    gpus: Whole = key(0, "GPUs that training needs.", 2, ge=0, le=1024)
    timeout: Duration = key("24h", "Training that takes longer is ended.", "8h")
    job: JobSection | None = key(
        None,
        "Train as a Job of a Kubernetes cluster, which outlives the build.",
        {"cluster": "https://k8s-gpu.acme.example:6443", "namespace": "ml-training"},
    )
    inputs: Texts = key(
        [],
        "Globs, relative to the model's path, of the files on which training depends: when none of them changed, "
        "nothing is trained. Default: all files but documentation, tests and what we generate.",
        ["*.py", "requirements.txt"],
    )


class EvaluateSection(Section):
    """How a model is judged: built in for a kind of problem, or by a command. The problem may stand alone."""

    shorthand: ClassVar[str] = "problem"

    problem: Literal["binary", "multiclass", "multilabel", "regression"] | None = key(
        None, "The kind of problem; evaluation is then built in.", "binary"
    )
    command: Text | None = key(None, "Your own evaluation, which writes metrics.json.", "./evaluate.sh")
    signature: Text = key(
        "serving_default", "The signature of the SavedModel that is asked.", "serving_default"
    )
    output: Text | None = key(
        None, "The output of the signature to judge, when it has several.", "probability"
    )
    threshold: Number = key(0.5, "A score from here on counts as positive.", 0.3, ge=0, le=1)
    slices: Texts = key([], "Columns by whose values the report also slices.", ["country"])
    batch_size: Whole = key(1024, "Rows scored at once.", 256, ge=1, le=1_000_000)


class ServingSection(Section):
    """What one serving copy of the model needs."""

    cpu: Number = key(1, "CPU cores.", 2, gt=0, le=1024)
    memory: Size = key("2Gi", "Memory.", "4Gi")
    gpus: Whole = key(0, "GPUs.", 1, ge=0, le=64)
    warmup: Truth = key(
        True,
        "Put the golden requests into the image: the server runs them before it takes a version for loaded. A model "
        "that brings its own warm-up requests keeps them.",
        False,
    )
    allow_ops: Texts = key(
        [],
        "TensorFlow operations that its SavedModel may hold although they do more than compute, or are custom.",
        ["WordpieceTokenizeWithOffsets"],
    )


class ModelSection(Section):
    """One model: its code, data, training, evaluation and what it needs to serve."""

    path: Text = key(".", "The folder of its code, relative to the root of the repository.", "models/fraud")
    data: Annotated[dict[str, DataSection], Kind("mapping")] = key(
        {}, "Its data sources by name.", {"customers": "s3://acme-ml/churn/customers.csv"}
    )
    test: str | None = key(
        None,
        'The command of its unit tests. Default: `python -m pytest -q tests` when the path has a folder tests; "" '
        "for none.",
        "python -m pytest -q tests",
    )
    train: TrainSection = required("How it is trained; the command may stand alone.", "python train.py")
    evaluate: EvaluateSection = required("How it is judged; the kind of problem may stand alone.", "binary")
    gates: Gates = key(
        [],
        "What a version must reach: METRIC >= or <= LIMIT, then nothing, `in each COLUMN` or `where COLUMN = VALUE`. "
        "LIMIT is a number, or `champion` (what production serves) with + - * a number.",
        ["roc_auc >= 0.80", "roc_auc >= champion - 0.01"],
    )
    min_samples: Whole = key(
        100, "Test rows, in each slice too, below which a gate does not decide.", 500, ge=1
    )
    serving: ServingSection = key({}, "What one serving copy needs.", {"cpu": 2, "memory": "4Gi"})


class StoreSection(Section):
    """Where model bytes are kept: a registry, or a folder on this machine."""

    registry: Text | None = key(None, "An OCI registry and a path in it.", "registry.acme.example/ml")
    path: Text | None = key(
        None,
        "A folder with an OCI image layout, used without a registry. Default: beside the checkout, `../NAME.store`.",
        "../store",
    )
    compression: Literal["none", "gzip"] = key(
        "gzip", "How layers are packed; gzip is a container here, nothing is squeezed.", "none"
    )
    ca: Text | None = key(
        None,
        "A file (PEM) with the authority that signed the registry's certificate, trusted beside this system's own. "
        "Relative to `mmcicd.yaml`.",
        "ops/registry-ca.pem",
    )
    insecure: Truth = key(
        False,
        "Talk to the registry without TLS, or whatever certificate it shows. Passwords then go over the network as "
        "they are.",
        True,
    )
    upload_chunk: Size | None = key(
        None,
        "Upload in pieces of this size, for a registry behind a proxy with a limit. Default: one stream, and smaller "
        "pieces when a proxy says that it was too much.",
        "16Mi",
    )


class LedgerSection(Section):
    """Where the history of releases is kept. The URL may stand alone."""

    shorthand: ClassVar[str] = "url"

    url: Text | None = key(
        None,
        "A git repository. Default: a bare repository beside the checkout, `../NAME.ledger.git`.",
        "ssh://git@git.acme.example/ml/ledger.git",
    )


class ImageSection(Section):
    """The serving image. The base may stand alone."""

    shorthand: ClassVar[str] = "base"

    base: Text | None = key(
        None, "The image with TensorFlow Serving that the model is joined to; pinned by digest in mmcicd.lock.",
        "tensorflow/serving:2.20.0",
    )  # fmt: skip
    gpu_base: Text | None = key(
        None,
        "The base of the models whose `serving.gpus` is not 0. Default: `base` for them too.",
        "tensorflow/serving:2.20.0-gpu",
    )
    verify_with: Texts = key(
        [],
        "Further serving versions on which `verify` tries every model; each must load it and answer alike. Only looked "
        "at: the image stands on `base`. Pinned by digest in mmcicd.lock.",
        ["tensorflow/serving:2.18.0"],
    )
    platforms: Texts = key(
        [],
        "What the servers run on, of all that a base for several platforms is made for. Default: every Linux of the base.",
        ["linux/amd64"],
    )
    user: Text | None = key(
        None,
        "The user that the server runs as, a number and if you like a group. Default: the base's own when it is not "
        "root, else 10001:10001.",
        "65532:65532",
    )
    monitoring: Truth = key(
        True, "Start TensorFlow Serving with its metrics for Prometheus switched on.", False
    )
    builder: Literal["layers", "docker"] = key(
        "layers",
        "How the image is made: the model's layers joined to the base, or by your own Dockerfile in a Docker engine.",
        "docker",
    )
    dockerfile: Text | None = key(None, "Your own Dockerfile, for `builder: docker`.", "serving/Dockerfile")
    context: Text | None = key(
        None,
        "The folder whose tracked files the build is given; the model is in `model` beside them. Default: the "
        "Dockerfile's.",
        "serving",
    )
    build_args: Annotated[dict[str, Text], Kind("mapping")] = key(
        {},
        "Build arguments of yours. MODEL_NAME, MODEL_VERSION, MODEL_DIR and BASE are given in any case.",
        {"FLAGS": "--enable_batching"},
    )


class JenkinsSource(Section):
    """Where Jenkins finds this repository; one of them."""

    github: Text | None = key(None, "OWNER/NAME on GitHub.", "acme/ml-models")
    gitlab: Text | None = key(None, "GROUP/NAME on GitLab.", "acme/ml-models")
    bitbucket: Text | None = key(None, "OWNER/NAME on Bitbucket.", "acme/ml-models")
    git: Text | None = key(None, "The URL of any git repository.", "ssh://git@git.acme.example/ml/models.git")
    server: Text | None = key(
        None, "The address of your own GitHub, GitLab or Bitbucket.", "https://git.acme.example"
    )


class PullRequests(Section):
    """What pull requests may do."""

    train: Literal["same-repository", "none"] = key(
        "same-repository",
        "Which of them train and evaluate. Those from forks always run prepare and test only, without credentials.",
        "none",
    )


class JenkinsPermissions(Section):
    """Who may do what in the folders of Jenkins, where the plugin matrix-auth is there; users or groups."""

    ci: Texts = key([], "Who may read and build in `ci`, and look at `ops`.", ["ml-engineers"])
    sync: Texts = key(
        [],
        "Who may change the jobs. Default: the account that runs `jobs sync`.",
        ["jenkins-sync"],
    )


class JenkinsSection(Section):
    """The Jenkins that runs the pipelines. Without it nothing is made for Jenkins but the Jenkinsfiles."""

    url: Text | None = key(None, "Its address.", "https://jenkins.acme.example")
    folder: Text | None = key(None, "The folder in which `ci` and `ops` are made.", "ml")
    source: JenkinsSource = key({}, "Where Jenkins finds this repository.", {"github": "acme/ml-models"})
    main: Text = key("main", "The protected branch: what is pushed there is released.", "trunk")
    agents: Annotated[dict[str, AgentSection], Kind("mapping")] = key(
        {},
        "Where stages run: `default`, and any stage that needs another. A label may stand alone.",
        {"default": "linux", "train": "gpu-a100"},
    )
    timeouts: Annotated[dict[str, Duration], Kind("mapping")] = key(
        {},
        "How long Jenkins waits for a stage, queues included: any stage, `plan` or `retrain`. Default for train: its "
        "own `timeout` and two hours.",
        {"evaluate": "4h"},
    )
    branches: BranchesSection = key({}, "What branches may do.", {"train": "main"})
    pull_requests: PullRequests = key({}, "What pull requests may do.", {"train": "same-repository"})
    retrain: Cron | None = key(
        None,
        "When retrain-all looks for new data, as Jenkins writes schedules. Default: only when a person starts it.",
        "H 4 * * 1",
    )
    credentials: Annotated[dict[str, dict[str, Text]], Kind("mapping")] = key(
        {},
        "Ids of Jenkins credentials by folder and use, never the values. In `ci`: source, data, registry, ledger. In "
        "`ops` also: signing, and the name of each environment of kind kubernetes. Data of several kinds: data-s3, "
        "data-gs, data-https.",
        {"ci": {"data": "aws-ml-read"}, "ops": {"signing": "mmcicd-signing"}},
    )
    permissions: JenkinsPermissions = key(
        {},
        "Who may do what in the folders, with matrix-auth. Who may press in `ops` stands in the environments.",
        {"ci": ["ml-engineers"]},
    )
    cli: Text | None = key(
        None,
        "From where agents install this program: a requirement, a wheel or a git address. Default: this version.",
        "mmcicd-jenkins==0.1.0",
    )


class ExtendsSection(Section):
    """A platform file: what many repositories share. The URL may stand alone."""

    shorthand: ClassVar[str] = "url"

    url: Text = required("A git repository that holds it.", "ssh://git@git.acme.example/ml/platform.git")
    ref: Text | None = key(None, "The branch or tag that is followed. Default: the repository's own.", "v3")
    file: Text = key("platform.yaml", "The path of the file in it.", "ml/platform.yaml")


class FileSection(Section):
    """A whole `mmcicd.yaml`."""

    extends: ExtendsSection | None = key(
        None,
        "A platform file, whose keys hold where this file says nothing. Copied to mmcicd.platform.yaml and pinned in "
        "mmcicd.lock by `generate --extends URL`.",
        "ssh://git@git.acme.example/ml/platform.git",
    )
    models: Annotated[dict[str, ModelSection], Kind("mapping")] = required(
        "The models of this repository by name: lower-case letters, digits and inner dashes, at most 40.",
        {"churn": {"train": "python train.py", "evaluate": "binary"}},
        min_length=1,
    )
    environments: Annotated[dict[str, EnvironmentSection], Kind("mapping")] = key(
        {},
        "The places to serve, in the order in which a version reaches them: all but the last are deployed to without "
        "asking, the last is promoted to. Default: `staging` and `production`, both of kind local.",
        {"staging": {"kind": "local"}, "production": {"kind": "local"}},
    )
    store: StoreSection = key({}, "Where model bytes are kept.", {"registry": "registry.acme.example/ml"})
    ledger: LedgerSection = key({}, "Where the history of releases is kept.", {"url": "../ledger.git"})
    retention: RetentionSection = key({}, "What `gc` keeps in the store.", {"releases": 10})
    image: ImageSection = key({}, "The serving image.", {"base": "tensorflow/serving:2.20.0"})
    jenkins: JenkinsSection | None = key(
        None, "The Jenkins that runs the pipelines.", {"url": "https://jenkins.acme.example"}
    )
    hooks: Annotated[dict[str, Text], Kind("mapping")] = key(
        {},
        "Commands of your own before or after a stage, shown as stages: `before_promote`, `after_deploy`, ...",
        {"before_promote": "./ops/change-ticket.sh"},
    )
