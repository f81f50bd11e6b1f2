"""Is this machine one that can run stages: programs, disks, GPUs, the package index. Pure."""

import re
from collections.abc import Iterator, Mapping

from mmcicd_jenkins.checks.finding import Finding, Told
from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed
from mmcicd_jenkins.ports.doctor import Gpus

# What the package itself asks for, and the git that knows --force-with-lease=<ref>:<oid>, partial clones and
# core.fsync beside them.
PYTHON, GIT = (3, 11), (2, 30)


def programs(versions: Mapping[str, str]) -> Iterator[Finding]:
    """Python, its venv, and git."""
    told = Told("machine", "programs")
    for name, oldest, install in (
        ("python", PYTHON, "apt-get install python3.11 python3.11-venv"),
        ("git", GIT, "apt-get install git"),
    ):
        found = versions.get(name, "")
        wanted = ".".join(map(str, oldest))
        if not found:
            yield told.fail(f"{name} is not installed, or not on the PATH", install)
        elif _number(found) < oldest:
            yield told.fail(f"{name} {found} is too old; {wanted} is the oldest that does", install)
        else:
            yield told.ok(f"{name.replace('python', 'Python')} {found}")
    if not versions.get("venv"):
        yield told.fail(
            "Python has no venv with pip, so no environment can be made for a model",
            "apt-get install python3-venv",
        )


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def gpus(found: Gpus, wanted: Mapping[str, int], label: str, *, here: bool) -> Iterator[Finding]:
    """What the models ask for, against what the driver shows.

    Args:
        wanted: model -> GPUs.
        label: the one that training agents carry.
        here: the machine is looked at as an agent.
    """
    told = Told("machine", "gpu")
    most = max(wanted.values(), default=0)
    if found.names:
        if len(found.names) < most:
            model = max(wanted, key=lambda name: wanted[name])
            yield told.warn(
                f"{len(found.names)} GPU here ({found.names[0]}), {model} asks for {most}",
                f"right unless this machine carries the label {label}",
            )
        else:
            count = f"{len(found.names)} x " if len(found.names) > 1 else ""
            yield told.ok(f"{count}{found.names[0]}")
        return
    if found.installed:
        yield told.fail(
            f"the NVIDIA driver is installed and shows no GPU: {found.why or 'it says nothing'}",
            "nvidia-smi; after an update of the driver the machine must be restarted",
        )
    elif most and here:
        models = ", ".join(name for name, count in wanted.items() if count)
        yield told.warn(
            f"no GPU here; {models} asks for {most}", f"right unless this machine carries the label {label}"
        )


def engine(
    answer: str | MmcicdError, needed: Mapping[str, str], where: str, *, one_kind: bool
) -> Iterator[Finding]:
    """Whether the Docker engine answers that the configuration needs.

    Args:
        answer: its version, or why there is none.
        needed: keys of the configuration that cannot do without -> the stage that fails; none: `verify` runs images
            where it can.
        one_kind: all stages run on machines like this one.
    """
    told = Told("machine", "docker engine")
    if isinstance(answer, str):
        yield told.ok(f"Docker engine {answer}")
        return
    said = answer.what + (f" ({answer.why})" if answer.why else "")
    if not needed:
        instead = "verify tries models by the embedded server, not in their images"
        yield told.warn(f"{said}: {instead}", answer.fix, where=where)
        return
    said += f", and {', '.join(needed)} cannot do without"
    if one_kind:
        code = InputError.exit_code if answer.exit_code == InputError.exit_code else OutsideFailed.exit_code
        yield told.fail(said, answer.fix, where=where, code=code)
    else:
        stages = " and ".join(dict.fromkeys(needed.values()))
        yield told.warn(said, f"right unless this machine runs {stages}; else {answer.fix}", where=where)


def index(said: str) -> Iterator[Finding]:
    """Whether pip reaches its index, with its own settings."""
    told = Told("machine", "package index")
    if said:
        yield told.fail(
            f"pip does not reach its package index: {said}",
            "pip config set global.index-url https://pypi.example/simple, or PIP_INDEX_URL; pip config debug "
            "shows what counts",
            code=OutsideFailed.exit_code,
        )
    else:
        yield told.ok("package index")
