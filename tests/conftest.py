"""What all tests share: nothing of the machine that runs them leaks in."""

import os
import signal
import tempfile

import pytest


@pytest.fixture(autouse=True, scope="session")
def own_environment(tmp_path_factory):
    """No settings, keys, caches or builds of the machine; quiet TensorFlow."""
    home = tmp_path_factory.mktemp("home")
    saved = dict(os.environ)
    for name in [n for n in os.environ if n.startswith("MMCICD_")] + ["BUILD_URL", "BUILD_USER_ID"]:
        os.environ.pop(name, None)
    os.environ["XDG_CONFIG_HOME"] = str(home / "config")
    # Somebody's identity, hooks or signing would hide what breaks on a bare machine.
    os.environ["GIT_CONFIG_GLOBAL"] = os.devnull
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # What a killed process of ours leaves there goes with the session.
    (home / "tmp").mkdir()
    os.environ["TMPDIR"] = tempfile.tempdir = str(home / "tmp")
    # A session that runs in the background ignores these, and what it starts would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    tempfile.tempdir = None
    os.environ.clear()
    os.environ.update(saved)
