"""What a checkout keeps beside itself (ledger, store, what `run` left serving), and its former places inside it.

What an older version made where `git clean` can take it is moved out when it is next used: one rename, so a
killed move has happened or has not. Where it cannot be moved it is used where it is, and a person is told.
"""

from collections.abc import Callable
from pathlib import Path

from mmcicd_jenkins.adapters.local.server import LocalServer

Say = Callable[[str], None]


def settled(place: Path, former: Path, say: Say) -> Path:
    """The folder to use: `place`, after what lies at `former` was moved there, or `former` where that failed."""
    if not _holds_something(former):
        return place
    if _holds_something(place):
        say(f"{former} is not used: {place} is. Delete {former} when nothing that serves came from it")
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        former.rename(place)
    except OSError as e:
        if not _holds_something(former):  # another process was faster
            return place
        say(f"{former} can be deleted by git clean; move it to {place} ({e.strerror or e})")
        return former
    say(f"moved {former} to {place}, out of reach of git clean")
    return place


def _holds_something(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def settled_server(place: Path, former: Path, say: Say) -> Path:
    """As `settled`, for the state of a server; one that runs keeps its folder until it is stopped."""
    if _holds_something(former) and LocalServer(former).lives():
        say(f"its server runs in {former}, where git clean can take it: stop and serve again move it")
        return former
    return settled(place, former, say)
