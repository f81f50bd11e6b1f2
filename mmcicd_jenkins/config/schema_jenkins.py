"""The keys below `jenkins` that say where and when stages run: agents, pods, timeouts, branches."""

from typing import Annotated, ClassVar, Literal

from mmcicd_jenkins.config.section import Kind, Number, Section, Size, Text, Whole, key, required


class PodSection(Section):
    """A pod that the kubernetes plugin makes for one stage. Its image has git, and Python 3.11 or newer."""

    image: Text = required("The image.", "registry.acme.example/ml/train:3.2")
    gpus: Whole = key(0, "GPUs. Default for train: those of the model.", 2, ge=0, le=1024)
    cpu: Number = key(0, "CPU cores; 0 leaves it to the cluster.", 8, ge=0, le=1024)
    memory: Size | None = key(None, "Memory.", "32Gi")
    shared_memory: Size | None = key(
        None, "The size of /dev/shm, which the workers of data loaders use.", "8Gi"
    )
    node_selector: Annotated[dict[str, Text], Kind("mapping")] = key(
        {}, "Labels of the nodes that may run it.", {"gpu": "a100"}
    )
    service_account: Text | None = key(None, "Its ServiceAccount. Default: no token at all.", "trainer")
    namespace: Text | None = key(None, "The namespace. Default: that of the cloud in Jenkins.", "ml-ci")
    cloud: Text | None = key(None, "The cloud's name in Jenkins. Default: the only one.", "kubernetes")
    checkpoints: Text | None = key(
        None,
        "A persistent volume claim for checkpoints, so that a lost pod costs little.",
        "train-checkpoints",
    )


class AgentSection(Section):
    """An agent by its label, which may stand alone, or a pod."""

    shorthand: ClassVar[str] = "label"

    label: Text | None = key(None, "The label of an agent.", "gpu-a100")
    pod: PodSection | None = key(None, "A pod made for the stage.", {"image": "acme/train:3.2", "gpus": 2})


class BranchesSection(Section):
    """What branches may do."""

    train: Literal["all", "main"] = key("all", "Which of them train and evaluate.", "main")
