"""Metrics as sums: streaming, mergeable, constant memory, numpy only.

A tally takes batches (`add`), joins another tally of the same kind (`merge`) and answers with
measures for each group (`measures`). Group 0 of an ungrouped tally is all rows; a grouped one has a
group for each value of a slice column. Both sides of a merge number classes and groups alike.

What cannot be computed is `None`, never an exception. A score that is not a number, or not a
probability, is counted and makes every metric of its group NaN, so that no gate can pass on it.
"""

from mmcicd_jenkins.reports.metrics.classification import BinaryTally, MulticlassTally, MultilabelTally
from mmcicd_jenkins.reports.metrics.ranking import EXACT_SCORES, Ranking
from mmcicd_jenkins.reports.metrics.regression import RegressionTally
from mmcicd_jenkins.reports.metrics.tally import Tally

__all__ = [
    "EXACT_SCORES",
    "BinaryTally",
    "MulticlassTally",
    "MultilabelTally",
    "Ranking",
    "RegressionTally",
    "Tally",
]
