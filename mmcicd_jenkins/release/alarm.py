"""The alarm about drift, and how it is raised and ended: by windows in a row, never by one. Pure."""

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Windows in a row that drifted (`bad`) or did not (`good`), and whether the alarm is raised.

    `at` is where the last of them ended, in seconds since 1970: the next one begins there, for a prediction that is
    counted in two windows would be two witnesses.
    """

    raised: bool = False
    bad: int = 0
    good: int = 0
    at: float = 0.0


def next_alarm(alarm: Alarm, verdict: Verdict, now: float, *, bad_windows: int, good_windows: int) -> Alarm:
    """Raised by so many bad windows in a row, ended by so many good ones; what decides nothing changes nothing."""
    if verdict is Verdict.INCONCLUSIVE:
        return alarm
    if verdict is Verdict.FAILED:
        bad = alarm.bad + 1
        return Alarm(raised=alarm.raised or bad >= bad_windows, bad=bad, at=now)
    good = alarm.good + 1
    return Alarm(raised=alarm.raised and good < good_windows, good=good, at=now)
