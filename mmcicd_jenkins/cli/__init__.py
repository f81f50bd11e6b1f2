"""The command line. `COMMANDS` is its table of contents; a command's file is imported only when it runs.

`--help` and completion read this table alone, so they start at once. Every command raises the errors of
`mmcicd_jenkins.errors`; `main` turns them into a message and an exit code.
"""

from mmcicd_jenkins.cli.frame import run_command_line

# name -> (module below mmcicd_jenkins.cli, one line of help), in the order in which a newcomer meets them.
COMMANDS = {
    "generate": ("generate", "Scaffold a repository, or bring its generated files up to date"),
    "run": ("run", "The whole pipeline here, with the stages Jenkins would call"),
    "stage": ("stage", "One stage of the pipeline"),
    "promote": ("promote", "Put a version into production, with approval"),
    "rollback": ("rollback", "Put the last healthy release back"),
    "status": ("status", "What serves where, since when and why"),
    "history": ("history", "What happened to a model, newest first"),
    "show": ("show", "One release in full: MODEL@VERSION"),
    "diff": ("diff", "Two releases side by side: MODEL@V1 MODEL@V2"),
    "serve": ("serve", "Serve a model directory, a version or an environment here"),
    "stop": ("stop", "Stop what run and serve left running"),
    "data": ("data", "Check the data against the lock, or move the lock"),
    "image": ("image", "Move the pinned base images"),
    "config": ("config", "Check, explain or describe mmcicd.yaml"),
    "jobs": ("jobs", "Jobs on Jenkins: make them, compare them, start one and follow it"),
    "render": ("render", "Look at generated files, or copy a template to own it"),
    "lint": ("lint", "Check Jenkinsfiles without a controller"),
    "doctor": ("doctor", "Would the first build succeed? Looks, and changes nothing"),
    "ledger": ("ledger", "Prove the history"),
    "gc": ("gc", "Remove from the store what nothing needs; prints the plan first"),
    "reconcile": ("reconcile", "Write into the ledger what serves without it knowing"),
    "keys": ("keys", "Make signing keys"),
    "convert": ("convert", "Frozen graph, checkpoint or .keras file to SavedModel"),
    "demo": ("demo", "The guided tour: commit, train, refuse, promote, roll back"),
}


def main() -> None:
    """The entry point `mmcicd-jenkins`."""
    run_command_line(COMMANDS)
