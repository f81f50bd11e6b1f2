"""Which Jenkins plugin each line of a generated pipeline needs, and why. Pure.

Read off the finished text, so that a team's own template is told about as well. `doctor` compares the answer
with what a controller has; each generated file says it at its top.
"""

import re
from collections.abc import Mapping

from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class Use:
    """`found` is a pattern of the line; `what` are the words for its top of file."""

    plugin: str
    what: str
    found: str


# In the order in which an administrator installs them. Comments of a file are made of these words: ours alone.
USES = (
    Use(plugin="workflow-aggregator", what="pipeline, stages, input, milestone, build", found=r"^pipeline \{"),
    Use(plugin="git", what="checkout", found=r"\bcheckout[ (]scm\b"),
    Use(plugin="credentials-binding", what="withCredentials", found=r"\bwithCredentials\("),
    Use(plugin="ssh-credentials", what="sshUserPrivateKey", found=r"\bsshUserPrivateKey\("),
    Use(plugin="plain-credentials", what="file and string credentials", found=r"^ +(?:file|string)\(credentialsId"),
    Use(plugin="junit", what="junit", found=r"^ +junit "),
    Use(plugin="lockable-resources", what="lock", found=r"^ +lock\("),
    Use(plugin="kubernetes", what="agents as pods", found=r"^ +kubernetes \{"),
)  # fmt: skip
_SOURCES: Mapping[str, str] = {
    "github": "github-branch-source",
    "gitlab": "gitlab-branch-source",
    "bitbucket": "cloudbees-bitbucket-branch-source",
}


def plugins_in(text: str) -> tuple[Use, ...]:
    """What one pipeline needs, in the order of `USES`."""
    return tuple(use for use in USES if re.search(use.found, text, re.MULTILINE))


def plugins_of(config: Config) -> Mapping[str, str]:
    """Every plugin that the generated pipelines and their jobs need -> what for."""
    from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles

    needed = {"cloudbees-folder": "the folders of the jobs", "workflow-multibranch": "a job per branch"}
    for text in render_jenkinsfiles(config).values():
        needed |= {use.plugin: use.what for use in plugins_in(text)}
    for host, plugin in _SOURCES.items():
        if config.jenkins and config.jenkins.source.get(host):
            needed[plugin] = f"branches and pull requests of {host}"
    return needed
