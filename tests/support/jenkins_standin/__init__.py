"""A stand-in for a Jenkins controller: a real HTTP server that answers as a real one was seen to answer.

What it knows is what the contract tests ask; they run on a real controller too, so where the two differ the tests
fail. `items` keeps jobs as Jenkins stores them, `builds` plays scripted builds, `server` speaks HTTP.
"""

from jenkins_standin.builds import Ask, Say, Script
from jenkins_standin.server import Standin

__all__ = ["Ask", "Say", "Script", "Standin"]
