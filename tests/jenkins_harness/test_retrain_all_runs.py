"""The job that looks for new data: it moves the lock on main and lets the push build; without new data it does nothing."""

import pytest
from paper_controller import make_controller

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def controller(tmp_path_factory):
    return make_controller(tmp_path_factory.mktemp("retrain") / "base")


def test_the_lock_is_moved_on_main_and_the_push_builds(controller, same_trace):
    before = controller.git("rev-parse", "origin/main")
    same_trace("retrain-nothing-new", controller.retrain(), "SUCCESS")
    controller.git("fetch", "-q", "origin")
    assert controller.git("rev-parse", "origin/main") == before

    (controller.repo / "data" / "numbers.csv").write_text(
        "x,y\n" + "".join(f"{x},{2 * x}\n" for x in range(120))
    )
    pushed = controller.push("main", message="newer data, the lock forgotten")
    same_trace("retrain-new-data", controller.retrain(), "SUCCESS")
    controller.git("fetch", "-q", "origin")
    assert controller.git("rev-parse", "origin/main^") == pushed
    assert controller.git("diff", "--name-only", pushed, "origin/main") == "mmcicd.lock"


def test_data_that_is_gone_fails_the_build(controller, same_trace):
    controller.git("pull", "-q", "--rebase", "origin", "main")
    (controller.repo / "data" / "numbers.csv").unlink()
    controller.push("main", message="the data are gone")
    ended = controller.retrain()
    same_trace("retrain-data-gone", ended, "FAILURE")
    assert ended.description
