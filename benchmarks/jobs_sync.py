"""Bringing 1,000 jobs to a controller, new and unchanged, against jenkins-job-builder on a controller of the same kind.

Both are given 200 models of five jobs. The peer works with eight workers, as many as ours has connections. When
nothing changed the peer believes a file on its own disk, ours asks the controller for the marks of its folders.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import harness, many_models, standin
from benchmarks.peers import peer

_GOAL = 1.0
# Two requests for each new job and a few for the folders; of unchanged ones the folders alone.
_NEW_REQUESTS, _UNCHANGED_REQUESTS = 2.05, 0.02


def main() -> None:
    chosen = harness.options(__doc__ or "")
    models = 4 if chosen.smoke else 200
    runs = chosen.runs or (1 if chosen.smoke else 5)
    with tempfile.TemporaryDirectory() as top, standin.controller() as ours, standin.controller() as theirs:
        cases = _Cases(Path(top), ours, theirs, models)
        new = cases.measure(runs, fresh=True)
        unchanged = cases.measure(runs, fresh=False)
    size = models * many_models.JOBS_PER_MODEL
    few = (
        new["ours"]["requests_per_job"] <= _NEW_REQUESTS
        and unchanged["ours"]["requests_per_job"] <= _UNCHANGED_REQUESTS
    )
    met = new["ratio"] <= _GOAL and unchanged["ratio"] <= _GOAL and (few or chosen.smoke)
    harness.tell(
        {
            "name": "jobs_sync",
            "what": "bringing new jobs to a controller",
            "size": f"{size} jobs of {models} models",
            "runs": runs,
            **new,
            "unchanged": unchanged,
            "goal": f"at most {_GOAL:g} of the peer's time, new and unchanged; {_NEW_REQUESTS:g} requests for a new job",
            "met": met,
        },
        chosen.json,
    )


class _Cases:
    """Both contenders, each with a controller of its own."""

    def __init__(self, top: Path, ours: str, theirs: str, models: int) -> None:
        self.jobs = models * many_models.JOBS_PER_MODEL
        self.addresses = (ours, theirs)
        self.cache = top / "cache"
        repository = many_models.our_repository(top / "ours", models)
        script = many_models.rollback_script(repository, models)
        definitions = many_models.their_definitions(top / "theirs", models, script)
        settings = many_models.their_settings(top, theirs, standin.USER, standin.TOKEN)
        account = (
            ("MMCICD_JENKINS_URL", ours),
            ("MMCICD_JENKINS_USER", standin.USER),
            ("MMCICD_JENKINS_TOKEN", standin.TOKEN),
        )
        os.environ.update(dict(account), XDG_CACHE_HOME=str(self.cache), XDG_CONFIG_HOME=str(top / "config"))
        program = str(Path(sys.executable).with_name("mmcicd-jenkins"))
        builder = str(peer(many_models.PEER) / "jenkins-jobs")
        self.commands = (
            ["env", "-C", str(repository), program, "jobs", "sync"],
            [
                builder,
                "--log_level",
                "ERROR",
                "--conf",
                str(settings),
                "update",
                "--workers",
                "8",
                str(definitions),
            ],
        )

    def _counts(self) -> list[int]:
        return [standin.requests_until_now(url) for url in self.addresses]

    def _begin_anew(self, which: int) -> int:
        """Empty a controller; how many requests that took."""
        standin.forget_all(self.addresses[which])
        if which == 1:
            shutil.rmtree(self.cache / "jenkins_jobs", ignore_errors=True)
            standin.make_folders(self.addresses[1], "ml", "ml/ci", "ml/ops")
        return standin.requests_until_now(self.addresses[which])

    def measure(self, runs: int, *, fresh: bool) -> dict:
        """One case: `fresh` begins each run with an empty controller and without the peer's memory."""
        requests: tuple[list[int], list[int]] = ([], [])
        before = [self._begin_anew(which) for which in (0, 1)] if fresh else self._counts()

        def cleaning(which: int) -> Callable[[int], None]:
            def clean(_: int) -> None:
                url = self.addresses[which]
                now = standin.requests_until_now(url)
                requests[which].append(now - before[which])
                before[which] = now
                if fresh:
                    before[which] = self._begin_anew(which)

            return clean

        contenders = [
            harness.Contender(name="mmcicd-jenkins jobs sync", version=harness.our_version(), command=lambda _: self.commands[0], clean=cleaning(0)),
            harness.Contender(name=many_models.PEER_NAME, version=many_models.PEER_VERSION, command=lambda _: self.commands[1], clean=cleaning(1)),
        ]  # fmt: skip
        mine, their = harness.alternate(contenders, runs)
        return {
            "ours": {
                **mine.to_json(contenders[0]),
                "requests_per_job": round(requests[0][-1] / self.jobs, 3),
            },
            "peer": {
                **their.to_json(contenders[1]),
                "requests_per_job": round(requests[1][-1] / self.jobs, 3),
            },
            "ratio": harness.ratio_of(mine, their),
        }


if __name__ == "__main__":
    main()
