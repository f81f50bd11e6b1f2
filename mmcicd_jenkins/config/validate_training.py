"""`train.job`: what a training in a cluster needs of the rest of the file."""

from mmcicd_jenkins.config.findings import Findings
from mmcicd_jenkins.config.marks import KeyPath
from mmcicd_jenkins.config.schema import FileSection


def check_training(file: FileSection, findings: Findings) -> None:
    serving = {
        (place.cluster, place.namespace): name for name, place in file.environments.items() if place.cluster
    }
    for name, model in file.models.items():
        job = model.train.job
        if job is None:
            continue
        at: KeyPath = ("models", name, "train", "job")
        if not model.train.image:
            fix = "add train.image: an image with the command line, git and what training imports"
            findings.add(at, "a Job needs an image to run", fix, on="key")
        if not file.store.registry:
            what = "a Job writes its model to a registry, and there is none"
            findings.add(at, what, "add `store: {registry: registry.acme.example/ml}`", on="key")
        if (place := serving.get((job.cluster, job.namespace))) is not None:
            what = f"{place} serves in this namespace: a training there can reach all that it has"
            findings.warn((*at, "namespace"), what, "give trainings a namespace of their own")
        if model.train.gpus and not job.checkpoints:
            what = "a training on GPUs whose pod is lost begins anew"
            findings.warn(at, what, "add `checkpoints: CLAIM`")
