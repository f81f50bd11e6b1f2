"""What an account of a cluster may do, said so that one table makes both the Role and the questions about it.

Values alone: which rights our code uses is in `render.rights`, what the answers mean in `checks.cluster`.
"""

from typing import Literal

from mmcicd_jenkins.records import dataclass

Account = Literal["deployer", "monitor", "trainer"]
EVERYWHERE = ""


@dataclass(frozen=True, kw_only=True)
class Right:
    """Verbs on one resource (`pods`, or `pods/log`), of the objects `names` alone where there are any.

    `optional`: without it everything works and something is told in fewer words.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    names: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Question:
    """One call that an account may make or not, in a namespace or `EVERYWHERE`. `resource` as in `Right`."""

    namespace: str
    group: str
    resource: str
    verb: str
    name: str = ""

    @property
    def words(self) -> str:
        """`patch deployments.apps`, as `kubectl auth can-i` takes it."""
        kind, _, part = self.resource.partition("/")
        full = f"{kind}.{self.group}" if self.group else kind
        return f"{self.verb} {full}{f'/{self.name}' if self.name else ''}{f' --subresource={part}' if part else ''}"


@dataclass(frozen=True, kw_only=True)
class Danger:
    """A call that no account of ours may make, and what whoever has it could do."""

    question: Question
    could: str
