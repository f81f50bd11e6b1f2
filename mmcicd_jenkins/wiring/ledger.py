"""The part of `wiring` that opens the ledger, and says whose signatures count in it.

Adapters are imported when a ledger is opened: commands that only name its address do not wait for them.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from mmcicd_jenkins.config.defaults import LEDGER, beside
from mmcicd_jenkins.config.laptop import is_address
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.ports.ledger import Ledger
from mmcicd_jenkins.release.dsse import Authority


def authority_of(config: Config, variables: Mapping[str, str]) -> Authority:
    """The repository's trusted keys and this machine's own.

    An address is a ledger of `ops`, a path one of a laptop; without a trusted key of its zone nothing need be signed.
    """
    from mmcicd_jenkins.adapters.git.places import is_local
    from mmcicd_jenkins.adapters.signing import DsseSigner, private_key_path, read_trusted
    from mmcicd_jenkins.release.proof import ACCEPTED

    signer = DsseSigner(read_trusted(config.root), private_key_path(variables))
    zone = "laptop" if is_local(config.ledger.url) else "ops"
    return Authority(
        sign=signer.sign, check=signer.check, accepted=ACCEPTED[zone], required=signer.trusts(zone)
    )


def open_ledger(
    config: Config, variables: Mapping[str, str], say: Callable[[str], None], *, seconds: float = 0.0
) -> Ledger:
    """The ledger of `config`. With `seconds` it is waited for so long and no longer."""
    from mmcicd_jenkins.adapters.credentials import login
    from mmcicd_jenkins.adapters.git.ledger import GitLedger
    from mmcicd_jenkins.adapters.signing import DsseSigner, private_key_path, read_trusted
    from mmcicd_jenkins.adapters.system_clock import SystemClock

    signer = DsseSigner(read_trusted(config.root), private_key_path(variables))
    known = login("ledger", variables)
    usual = GitLedger(_place(config, say), signer=signer, clock=SystemClock(), login=known)
    if not seconds:
        return usual
    return GitLedger(
        _place(config, say),
        signer=signer,
        clock=SystemClock(),
        login=known,
        budget_seconds=seconds,
        call_seconds=seconds / 2,
    )


def _place(config: Config, say: Callable[[str], None]) -> str:
    root = config.root
    former = root.parent / f"{root.name}.{LEDGER}"
    if config.ledger.url != beside(root, LEDGER) or former == beside_path(root, LEDGER):
        return ledger_address(config)
    from mmcicd_jenkins.adapters.own_places import settled

    return str(settled(beside_path(root, LEDGER), former, say))


def ledger_address(config: Config) -> str:
    """The ledger's URL; a path is relative to the repository."""
    url = config.ledger.url
    if "://" in url or is_address(url):
        return url
    return str((config.root / url).resolve())


def beside_path(root: Path, kind: str) -> Path:
    """A place of this checkout's own, beside it."""
    return Path(os.path.normpath(root / beside(root, kind)))
