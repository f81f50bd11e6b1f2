"""How plans and results of `jobs` are told: a table that fits a terminal, and documents for `--json`."""

from collections.abc import Iterable, Sequence

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.render.job_compare import Difference
from mmcicd_jenkins.render.job_plan import Action
from mmcicd_jenkins.stages.jobs_sync import Done

# What an action is called before it is done, and after.
_WILL = {"create": "create", "update": "change", "keep": "keep", "refuse": "refuse"}
_DID = {"create": "created", "update": "changed"}
# Beyond this a value is told by its beginning: an inline pipeline has hundreds of lines.
_LONGEST = 60


def counts(actions: Iterable[Action]) -> str:
    """`3 to create, 1 to change, 12 unchanged`."""
    names = {
        "create": "to create",
        "update": "to change",
        "refuse": "refused",
        "keep": "left as they are",
        "unchanged": "unchanged",
    }
    listed = [action.do for action in actions]
    told = [f"{listed.count(do)} {name}" for do, name in names.items() if do in listed]
    return ", ".join(told) or "nothing"


def plan_table(actions: Sequence[Action]) -> str:
    """What would be done, without what is unchanged; below each change what differs."""
    rows = [(_WILL[action.do], action.path, _why(action)) for action in actions if action.do != "unchanged"]
    if not rows:
        return ""
    lines = report.table(rows, head=("DO", "JOB", "WHY")).splitlines()
    told = [lines[0]]
    changed = [action for action in actions if action.do != "unchanged"]
    for line, action in zip(lines[1:], changed, strict=True):
        told.append(line)
        told += [f"        {text}" for text in difference_lines(action.differences)]
    return "\n".join(told)


def _why(action: Action) -> str:
    return f"{action.reason}; {action.fix}" if action.fix else action.reason


def difference_lines(differences: Sequence[Difference]) -> list[str]:
    """Two lines for a value that differs, one for what is on one side only."""
    told = []
    for difference in differences:
        place = difference.place.rpartition("/")[2] or "the item"
        if difference.found:
            told.append(f"- {place}: {_short(difference.found)}")
        if difference.wanted:
            told.append(f"+ {place}: {_short(difference.wanted)}")
    return told


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def action_document(action: Action) -> dict[str, object]:
    return {
        "do": action.do,
        "job": action.path,
        "why": action.reason,
        "fix": action.fix,
        "differences": [_difference(d) for d in action.differences],
    }


def _difference(difference: Difference) -> dict[str, str]:
    return {"place": difference.place, "wanted": difference.wanted, "found": difference.found}


def done_document(done: Done) -> dict[str, object]:
    return {
        "did": _DID.get(done.action.do, done.action.do),
        "job": done.action.path,
        "why": done.action.reason,
        "lost": [{**_difference(d), "plugin": d.plugin} for d in done.lost],
        "error": done.error.to_json() if done.error else None,
    }


def done_line(done: Done) -> str:
    if done.error is not None:
        told = f"{done.error.what}: {done.error.why}" if done.error.why else done.error.what
        return f"failed   {done.action.path}  {told}"
    return f"{_DID[done.action.do]:<9}{done.action.path}"


def lost_lines(results: Iterable[Done]) -> list[str]:
    """What Jenkins forgot, once per element and plugin: a thousand jobs lack the same plugin."""
    found: dict[tuple[str, str], list[str]] = {}
    for done in results:
        for difference in done.lost:
            key = (difference.place.rpartition("/")[2], difference.plugin)
            found.setdefault(key, []).append(done.action.path)
    lines = []
    for (element, plugin), paths in found.items():
        where = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
        cure = f"; the plugin {plugin} is missing" if plugin else ""
        lines.append(f"Jenkins did not keep {element} of {where}{cure}")
    return lines
