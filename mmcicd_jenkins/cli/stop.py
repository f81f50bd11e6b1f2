"""`stop`: end the servers that `run`, `promote` and `serve` left running here."""

from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import environment_option, json_option
from mmcicd_jenkins.config.model import ImageSettings
from mmcicd_jenkins.wiring import open_bench


@click.command(
    epilog="Example: mmcicd-jenkins stop",
    help="Stop the servers of the local environments. What they serve stays recorded; "
    "`mmcicd-jenkins serve --env NAME` starts them again.",
)
@environment_option("Only this environment.")
@json_option
def command(environment: str | None, as_json: bool) -> int:
    bench = open_bench(Path.cwd(), report.Lines())
    places = [bench.place(environment)] if environment else list(bench.config.environments.values())
    local = [place for place in places if place.kind == "local"]
    stopped = {place.name: bench.target(place).stop() for place in local}
    if environment is None:
        # What a killed `verify` left; the next one would end it as well.
        for folder in bench.workspace.verifications.glob("*"):
            trial = bench.throwaway(folder, runnable=_makes_containers(bench.config.image))
            stopped["verify"] = trial.stop() or stopped.get("verify", False)
    if as_json:
        report.emit({"stopped": stopped})
        return 0
    for name, ran in stopped.items():
        report.say(f"{name}: stopped" if ran else f"{name}: nothing ran")
    return 0


def _makes_containers(image: ImageSettings) -> bool:
    return bool(image.base or image.gpu_base or image.verify_with) or image.builder == "docker"
