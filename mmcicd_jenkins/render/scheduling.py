"""On which nodes pods may run, as a cluster takes it. Pure."""

from mmcicd_jenkins.config.cluster_model import Toleration


def toleration(one: Toleration) -> dict[str, str | int]:
    """Without what is empty, which to a cluster means every."""
    written = {"key": one.key, "operator": one.operator, "value": one.value, "effect": one.effect}
    seconds = {} if one.seconds is None else {"tolerationSeconds": one.seconds}
    return {key: text for key, text in written.items() if text} | seconds
