"""Rendering 1,000 models, Jenkinsfiles and job XML, against jenkins-job-builder's `test` of the same jobs.

Both write the XML of five jobs for each model, an inline rollback pipeline among them. Ours renders five Jenkinsfiles
for each model besides, for which the peer has no counterpart: a person writes those.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks import harness, many_models
from benchmarks.peers import peer

_GOAL = 1.0
_OURS = """\
import sys
from pathlib import Path
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles
from mmcicd_jenkins.render.job_items import desired_items
config = load_config(Path(sys.argv[1]), environ={})
texts = render_jenkinsfiles(config)
items = desired_items(config)
out = Path(sys.argv[2])
out.mkdir(exist_ok=True)
for path, text in texts.items():
    (out / path.replace("/", "-")).write_text(text)
for item in items:
    (out / item.path.replace("/", "-")).with_suffix(".xml").write_text(item.xml)
"""


def main() -> None:
    chosen = harness.options(__doc__ or "")
    models = 10 if chosen.smoke else 1000
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        repository = many_models.our_repository(folder / "ours", models)
        script = many_models.rollback_script(repository, models)
        definitions = many_models.their_definitions(folder / "theirs", models, script)
        (folder / "ours.py").write_text(_OURS)
        contenders = [
            harness.Contender(
                name="models with five Jenkinsfiles and five jobs",
                version=harness.our_version(),
                command=lambda _: [
                    sys.executable, str(folder / "ours.py"), str(repository), str(folder / "ours-out"),
                ],
            ),
            harness.Contender(
                name=f"{many_models.PEER_NAME} test",
                version=many_models.PEER_VERSION,
                command=lambda _: [
                    str(peer(many_models.PEER) / "jenkins-jobs"), "--log_level", "ERROR", "test",
                    str(definitions), "-o", str(folder / "theirs-out"),
                ],
            ),
        ]  # fmt: skip
        ours, theirs = harness.alternate(contenders, chosen.runs or (1 if chosen.smoke else 3))
    ratio = harness.ratio_of(ours, theirs)
    harness.tell(
        {
            "name": "render_models",
            "what": "rendering models",
            "size": f"{models} models of {many_models.JOBS_PER_MODEL} jobs",
            "runs": len(ours.seconds),
            "ours": ours.to_json(contenders[0]),
            "peer": theirs.to_json(contenders[1]),
            "ratio": ratio,
            "goal": f"at most {_GOAL:g} times the peer",
            "met": ratio <= _GOAL,
        },
        chosen.json,
    )


if __name__ == "__main__":
    main()
