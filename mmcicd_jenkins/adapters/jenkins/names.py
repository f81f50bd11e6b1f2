"""How the names of jobs become addresses. Pure.

Jenkins keeps a branch under its name percent-encoded, and an address encodes that again: the branch `feature/x`
is the job `feature%2Fx` at `/job/feature%252Fx/`.
"""

from urllib.parse import quote

# What Jenkins leaves as it is in the name of a branch job, besides letters, digits and `_.-`.
_KEPT = "!$&'()*+,=@"


def branch_job(branch: str) -> str:
    """The name of the job of a branch."""
    return quote(branch, safe=_KEPT).replace("~", "%7E")


def job_path(full_name: str) -> str:
    """The path of a job's page, `job/ml/job/ci/`; "" is the top of Jenkins."""
    return "".join(f"job/{quote(part, safe='')}/" for part in full_name.split("/") if part)


def split(full_name: str) -> tuple[str, str]:
    """The folder of an item and its own name."""
    folder, _, name = full_name.rpartition("/")
    return folder, name
