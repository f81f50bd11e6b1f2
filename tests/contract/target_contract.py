"""What every target promises, whatever serves: one suite for the stand-in of the system tests and for the real ones.

A subclass provides the fixtures `target` (nothing served yet) and `orders`, a callable
`(version, epoch, good=True) -> Switch` for the model `double`.
"""

import pytest

from mmcicd_jenkins.errors import OutsideFailed, Superseded


class TargetContract:
    def test_nothing_serves_at_first(self, target):
        assert target.observe("double").version is None

    def test_a_switch_is_seen(self, target, orders):
        target.switch(orders(1, 1))
        seen = target.observe("double")
        assert (seen.version, seen.state, seen.epoch) == (1, "AVAILABLE", 1)

    def test_the_same_order_twice_is_one(self, target, orders):
        target.switch(orders(1, 1))
        target.switch(orders(1, 1))
        assert target.observe("double").version == 1

    def test_forward_and_back(self, target, orders):
        target.switch(orders(1, 1))
        target.switch(orders(2, 2))
        assert target.observe("double").version == 2
        target.switch(orders(1, 3))
        assert target.observe("double").version == 1

    def test_a_stale_order_changes_nothing(self, target, orders):
        target.switch(orders(2, 5))
        with pytest.raises(Superseded):
            target.switch(orders(1, 4))
        assert target.observe("double").version == 2

    def test_a_version_that_does_not_load_leaves_the_old_one(self, target, orders):
        target.switch(orders(1, 1))
        with pytest.raises(OutsideFailed):
            target.switch(orders(2, 2, good=False))
        assert target.observe("double").version == 1

    def test_withdrawn_serves_nothing(self, target, orders):
        target.switch(orders(1, 1))
        target.withdraw("double", 2)
        assert target.observe("double").version is None
        with pytest.raises(Superseded):
            target.switch(orders(1, 1))
