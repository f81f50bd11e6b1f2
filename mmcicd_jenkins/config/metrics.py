"""The metrics that rules may name: those of the built-in evaluation by kind of problem, and those of a server.

The names that `reports.metrics` measures; a test compares both lists.
"""

from collections.abc import Iterable, Mapping

from mmcicd_jenkins.config.suggest import nearest

_PROBABILITIES = ("roc_auc", "pr_auc", "log_loss", "brier", "ece")
_CLASSES = ("accuracy", "precision", "recall", "f1", *_PROBABILITIES)

METRICS: Mapping[str, tuple[str, ...]] = {
    "binary": _CLASSES,
    "multiclass": _CLASSES,
    "multilabel": (*_CLASSES, "precision_micro", "recall_micro", "f1_micro", "hamming_loss"),
    "regression": ("mae", "mse", "rmse", "r2", "bias", "mape", "max_error"),
}

# What a canary is compared by, at the same time as the stable copies.
LIVE_METRICS = ("error_rate", "latency_p50", "latency_p95", "latency_p99")


def nearest_metric(name: str, known: Iterable[str]) -> str:
    """A fix that names the metric most like `name`, or all of them."""
    names = list(known)
    folded = {n.replace("_", ""): n for n in names} | {
        "auc": "roc_auc",
        "acc": "accuracy",
        "logloss": "log_loss",
    }
    near = nearest(name.lower().replace("_", ""), folded)
    if near and folded[near] in names:
        return f"did you mean `{folded[near]}`?"
    return f"metrics are: {', '.join(sorted(names))}"
