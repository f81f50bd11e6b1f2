"""Where Jenkins finds a repository: the branch source of a multibranch project, the checkout of an ops job. Pure.

The law: a source keeps its id for ever (another id rebuilds every branch), and code from a fork is never
trusted with our pipeline unless its author may push here anyway.
"""

import uuid
import xml.etree.ElementTree as ET
from typing import Literal

from mmcicd_jenkins.config.model import JenkinsSettings
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.job_xml import leaf, node, tag_of

Host = Literal["git", "github", "gitlab", "bitbucket"]
# What a branch source reads of a pull request: the commit that was pushed, not its merge with the target. The same
# commit then has the same run before and after it is merged, and a push to main does not train every request anew.
_HEAD = "2"
# Branches that are no pull request as well; a commit is built once.
_NOT_ALSO_REQUESTS = "1"

_GITHUB = "org.jenkinsci.plugins.github_branch_source"
_GITLAB = "io.jenkins.plugins.gitlabbranchsource"
_BITBUCKET = "com.cloudbees.jenkins.plugins.bitbucket"
_GIT_SOURCE = "jenkins.plugins.git.GitSCMSource"

# The plugin that brings a class, by the beginning of its name.
PLUGINS = (
    ("com.cloudbees.hudson.plugins.folder.properties.AuthorizationMatrixProperty", "matrix-auth"),
    ("com.cloudbees.hudson.plugins.folder.", "cloudbees-folder"),
    ("com.cloudbees.jenkins.plugins.bitbucket.", "cloudbees-bitbucket-branch-source"),
    ("hudson.plugins.git.", "git"),
    ("io.jenkins.plugins.gitlabbranchsource.", "gitlab-branch-source"),
    ("jenkins.branch.", "branch-api"),
    ("jenkins.plugins.git.", "git"),
    ("org.jenkinsci.plugins.githubScmTraitNotificationContext.", "github-scm-trait-notification-context"),
    ("org.jenkinsci.plugins.github_branch_source.", "github-branch-source"),
    ("org.jenkinsci.plugins.matrixauth.", "matrix-auth"),
    ("org.jenkinsci.plugins.workflow.cps.", "workflow-cps"),
    ("org.jenkinsci.plugins.workflow.job.", "workflow-job"),
    ("org.jenkinsci.plugins.workflow.multibranch.", "workflow-multibranch"),
)


def plugin_of(java_class: str) -> str:
    """The id of the plugin that brings a class; "" for what Jenkins itself has."""
    return next((plugin for prefix, plugin in PLUGINS if java_class.startswith(prefix)), "")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A repository: the hosting service, its address there, and the credentials that read it."""

    host: Host
    name: str
    server: str = ""
    credentials: str = ""

    @property
    def identity(self) -> str:
        """Who the repository is to us, for marks: the same for every job that is made from it."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.host} {self.server} {self.name}"))

    @property
    def remote(self) -> str:
        """The address that git fetches from."""
        if self.host == "git":
            return self.name
        return f"{self._site}/{self.name}.git"

    @property
    def _site(self) -> str:
        own = self.server.rstrip("/") if "://" in self.server else ""
        return own or {"github": "https://github.com", "gitlab": "https://gitlab.com"}.get(
            self.host, "https://bitbucket.org"
        )


def source_of(settings: JenkinsSettings, where: str, zone: Literal["ci", "ops"] = "ci") -> Source:
    """The repository of `jenkins.source`. What ops does not name it shares with ci: reading gives no more rights.

    Raises:
        InputError: none, or one without an owner.
    """
    hosts: tuple[Host, ...] = ("git", "github", "gitlab", "bitbucket")
    named = [host for host in hosts if settings.source.get(host)]
    if len(named) != 1:
        raise InputError(
            "Jenkins must be told where it finds this repository",
            where=where,
            fix="jenkins: {source: {git: URL}}, or github, gitlab or bitbucket: OWNER/NAME",
        )
    host, name = named[0], settings.source[named[0]]
    if host != "git" and not all(name.strip("/").partition("/")):
        raise InputError(f"{name!r} is no OWNER/NAME", where=where, fix=f"{host}: OWNER/NAME")
    ids = settings.credentials.get(zone, {}), settings.credentials.get("ci", {})
    return Source(
        host=host,
        name=name if host == "git" else name.strip("/"),
        server=settings.source.get("server", ""),
        credentials=ids[0].get("source") or ids[1].get("source", ""),
    )


def branch_source(source: Source, job: str, context: str) -> ET.Element:
    """The `<source>` of a multibranch project.

    Args:
        job: the full name of the project, part of the id.
        context: what commit statuses of this project are called; "" for the host's own word.
    """
    made = {"git": _git, "github": _github, "gitlab": _gitlab, "bitbucket": _bitbucket}[source.host](
        source, context
    )
    made.insert(0, leaf("id", str(uuid.uuid5(uuid.NAMESPACE_URL, f"{job} {source.remote}"))))
    return made


def _git(source: Source, _context: str) -> ET.Element:
    made = node("source", leaf("remote", source.name), of=_GIT_SOURCE)
    _with_credentials(made, source)
    made.append(node("traits", node("jenkins.plugins.git.traits.BranchDiscoveryTrait")))
    return made


def _github(source: Source, context: str) -> ET.Element:
    owner, _, name = source.name.partition("/")
    made = node("source", of=f"{_GITHUB}.GitHubSCMSource")
    if source.server:
        made.append(leaf("apiUri", f"{source.server.rstrip('/')}/api/v3"))
    _with_credentials(made, source)
    made.extend([leaf("repoOwner", owner), leaf("repository", name), leaf("repositoryUrl", source.remote)])
    traits = node("traits", *_discovery(_GITHUB, "Pull", "ForkPullRequestDiscoveryTrait$TrustPermission"))
    if context:
        named = "org.jenkinsci.plugins.githubScmTraitNotificationContext.NotificationContextTrait"
        traits.append(node(named, leaf("contextLabel", context), leaf("typeSuffix", True)))
    made.append(traits)
    return made


def _gitlab(source: Source, context: str) -> ET.Element:
    made = node("source", of=f"{_GITLAB}.GitLabSCMSource")
    # The name under which Jenkins' own settings know the server.
    made.append(leaf("serverName", source.server or "default"))
    made.append(leaf("projectOwner", source.name.rpartition("/")[0]))
    made.append(leaf("projectPath", source.name))
    _with_credentials(made, source)
    traits = node("traits", *_discovery(_GITLAB, "Merge", "ForkMergeRequestDiscoveryTrait$TrustPermission"))
    if context:
        trait = node(f"{_GITLAB}.BuildStatusNameCustomPartTrait", leaf("buildStatusNameCustomPart", context))
        traits.append(trait)
    made.append(traits)
    return made


def _bitbucket(source: Source, _context: str) -> ET.Element:
    """Bitbucket knows a status by the full name of the job, so models do not share one."""
    owner, _, name = source.name.partition("/")
    made = node("source", of=f"{_BITBUCKET}.BitbucketSCMSource")
    made.append(leaf("serverUrl", source.server or "https://bitbucket.org"))
    _with_credentials(made, source)
    made.extend([leaf("repoOwner", owner), leaf("repository", name)])
    made.append(
        node("traits", *_discovery(_BITBUCKET, "Pull", "ForkPullRequestDiscoveryTrait$TrustTeamForks"))
    )
    return made


def _discovery(package: str, request: str, trust: str) -> list[ET.Element]:
    prefix = tag_of(package)
    return [
        node(f"{prefix}.BranchDiscoveryTrait", leaf("strategyId", _NOT_ALSO_REQUESTS)),
        node(f"{prefix}.Origin{request}RequestDiscoveryTrait", leaf("strategyId", _HEAD)),
        node(
            f"{prefix}.Fork{request}RequestDiscoveryTrait",
            leaf("strategyId", _HEAD),
            node("trust", of=f"{package}.{trust}"),
        ),
    ]


def _with_credentials(made: ET.Element, source: Source) -> None:
    if source.credentials:
        made.append(leaf("credentialsId", source.credentials))


def checkout(source: Source, branch: str) -> ET.Element:
    """The `<scm>` of a pipeline that is read from one branch."""
    remote = node("hudson.plugins.git.UserRemoteConfig", leaf("url", source.remote))
    _with_credentials(remote, source)
    return node(
        "scm",
        leaf("configVersion", "2"),
        node("userRemoteConfigs", remote),
        # The full name of the ref: a tag called like the branch must not be taken for it.
        node("branches", node("hudson.plugins.git.BranchSpec", leaf("name", f"refs/heads/{branch}"))),
        of="hudson.plugins.git.GitSCM",
    )
