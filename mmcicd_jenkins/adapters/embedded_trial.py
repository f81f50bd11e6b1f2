"""The embedded server on an image's model layers, for one look: `ports.trial.Trial` on any target.

For images that cannot run (no base) and machines without an engine. Its log is kept before its folder goes.
"""

import contextlib
import shutil
from pathlib import Path

from mmcicd_jenkins.errors import Inconclusive, OutsideFailed
from mmcicd_jenkins.ports import Endpoint, Switch, Target
from mmcicd_jenkins.ports.trial import TrialOrder
from mmcicd_jenkins.release.desired import LOG, OUTPUT


class EmbeddedTrial:
    """`ports.trial.Trial`. `why` says why it is not a container; `folder` is the target's, for its logs."""

    def __init__(self, target: Target, folder: Path, why: str) -> None:
        self._target = target
        self._folder = folder
        self._why = why
        self._log: Path | None = None

    @property
    def how(self) -> str:
        return f"by the embedded server: {self._why}"

    def start(self, order: TrialOrder) -> Endpoint:
        if order.joined is not None:
            raise Inconclusive(
                "only a container can show it",
                why=self._why,
                fix="the same command where a Docker engine answers: docker version",
            )
        self._log = order.log
        switch = Switch(
            model=order.model, version=order.version, epoch=1, op_id=order.image, layers=order.layers
        )
        try:
            self._target.switch(switch)
        except OutsideFailed as e:
            raise OutsideFailed(
                e.what, where=str(order.log), why=e.why, fix=e.fix, retryable=e.retryable
            ) from e
        return self._target.endpoint(order.model)

    def memory(self) -> int:
        return 0

    def death(self) -> str:
        return ""

    def stop(self) -> bool:
        stopped = self._target.stop()
        if self._log is not None:
            # The log is a help for people; nothing else depends on it.
            with contextlib.suppress(OSError):
                self._log.parent.mkdir(parents=True, exist_ok=True)
                with self._log.open("wb") as kept:
                    for name in (OUTPUT, LOG):
                        if (self._folder / name).is_file():
                            with (self._folder / name).open("rb") as said:
                                shutil.copyfileobj(said, kept)
        return stopped
