"""What `gc` says: a table of what goes and why, counts of what stays, and bytes."""

import time
from collections.abc import Sequence

from mmcicd_jenkins.adapters.leftovers import Leftover
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.stages.gc import Outcome, Plan, summary
from mmcicd_jenkins.stages.gc_needs import Doomed

_PLURALS = {"copy of data": "copies of data", "record of a release": "records of releases"}


def tell_plan(plan: Plan, outcome: Outcome | None = None) -> None:
    """What would be removed, or what was."""
    shown = plan.remove if outcome is None else outcome.removed
    if shown:
        report.out(report.table([_row(each) for each in shown], head=("WHAT", "WHICH", "WHY")))
    verb = "would be removed" if outcome is None else "removed"
    told = ", ".join(_counted(count, what) for what, count in summary(shown)) or "nothing"
    stays = ", ".join(_counted(count, what) for what, count in sorted(plan.kept.items())) or "nothing"
    report.say(f"{told} {verb}; {stays} stay" + ("" if plan.kept else "s"))
    if plan.foreign:
        report.say(f"{report.counted(plan.foreign, 'thing')} not ours, or not known to be: left alone")
    if outcome is None:
        if plan.remove:
            report.say(f"{amount(plan.size)} that nothing else there needs")
        return
    if outcome.spared:
        report.say(f"{report.counted(len(outcome.spared), 'thing')} got another name meanwhile: left alone")
    swept = outcome.swept
    if not outcome.removed and not swept.blobs:
        return
    report.say(swept.why_not or f"{amount(swept.size)} freed in {report.counted(swept.blobs, 'blob')}")


def tell_leftovers(found: Sequence[Leftover], freed: int | None) -> None:
    rows = [(each.what, str(each.path), amount(each.size), _day(each.used)) for each in found]
    if rows:
        report.out(report.table(rows, head=("WHAT", "WHERE", "SIZE", "LAST USED")))
    if freed is not None:
        report.say(f"{amount(freed)} freed")
        return
    report.say(f"{amount(sum(each.size for each in found))} that can be made again")


def plan_json(plan: Plan) -> dict[str, object]:
    return {
        "remove": [_item(each) for each in plan.remove],
        "collect": {model: sorted(versions) for model, versions in plan.collect.items()},
        "kept": dict(plan.kept),
        "foreign": plan.foreign,
        "bytes": plan.size,
    }


def outcome_json(outcome: Outcome) -> dict[str, object]:
    return {
        "removed": [_item(each) for each in outcome.removed],
        "spared": [_item(each) for each in outcome.spared],
        "freed": outcome.swept.size,
        "freed_blobs": outcome.swept.blobs,
        "note": outcome.swept.why_not,
    }


def leftovers_json(found: Sequence[Leftover]) -> dict[str, object]:
    return {
        "remove": [
            {"what": each.what, "path": str(each.path), "bytes": each.size, "used": int(each.used)}
            for each in found
        ],
        "bytes": sum(each.size for each in found),
    }


def _counted(number: int, what: str) -> str:
    """Things whose plural is not made at the end."""
    if number != 1 and what in _PLURALS:
        return f"{number:,} {_PLURALS[what]}"
    return report.counted(number, what)


def amount(size: int) -> str:
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_:
            return f"{size / bytes_:,.1f} {unit}"
    return report.counted(size, "byte")


def _row(each: Doomed) -> tuple[str, str, str]:
    return each.what, each.name, each.why


def _item(each: Doomed) -> dict[str, object]:
    return {
        "what": each.what,
        "name": each.name,
        "model": each.model,
        "version": each.version,
        "why": each.why,
        "digest": each.held.digest,
        "tags": list(each.held.tags),
        "place": each.held.place,
    }


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
