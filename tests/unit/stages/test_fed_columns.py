"""Which columns a model is fed with: by name for several inputs, a row of numbers for one tensor, never the label."""

from mmcicd_jenkins.config.model import DataSource
from mmcicd_jenkins.ports import Column
from mmcicd_jenkins.stages.scoring import fed_columns

SOURCE = DataSource(name="customers", url="customers.csv", label="churned", test_size=0.2, group_by="id")
COLUMNS = tuple(
    Column(name=name, kind=kind)
    for name, kind in [
        ("id", "integer"), ("age", "integer"), ("country", "text"), ("churned", "integer"), ("spent", "number"),
    ]
)  # fmt: skip


def fed(**inputs):
    shaped = {name: {"dtype": dtype, "shape": shape} for name, (dtype, shape) in inputs.items()}
    return fed_columns({"inputs": shaped, "outputs": {}}, SOURCE, COLUMNS)


def test_one_tensor_takes_numbers_in_the_locks_order_without_label_groups_and_text():
    assert fed(inputs=("float32", [None, 2])) == ("age", "spent")


def test_one_tensor_of_any_width_takes_the_same():
    assert fed(inputs=("float32", [None, None])) == ("age", "spent")
    assert fed(inputs=("float32", None)) == ("age", "spent")


def test_one_tensor_of_text_takes_text_as_well():
    assert fed(review=("string", [None])) == ("age", "country", "spent")


def test_several_inputs_find_every_column_but_the_label_by_name():
    assert fed(age=("int64", [None, 1]), country=("string", [None, 1])) == ("id", "age", "country", "spent")
