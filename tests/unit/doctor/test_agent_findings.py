"""What doctor makes of agents: labels, clouds, agents that sleep."""

from mmcicd_jenkins.checks import agents
from mmcicd_jenkins.ports.doctor import LabelFacts, Node

WHERE = {"gpu-a100": "mmcicd.yaml:9:1"}
LINUX = Node(name="a", labels=("linux", "a"))


def labels(found, nodes=(LINUX,)):
    return list(agents.labels(found, nodes, WHERE))


def test_labels_with_agents_are_one_line_with_how_many():
    (found,) = labels({"linux": LabelFacts(nodes=(LINUX,)), "gpu": LabelFacts(nodes=(LINUX, LINUX, LINUX))})
    assert (found.severity, found.what) == ("ok", "agents linux, gpu (3 online)")


def test_a_label_that_no_agent_has_fails_with_the_labels_that_there_are():
    (found,) = labels({"gpu-a100": LabelFacts()})
    assert found.severity == "fail"
    assert "gpu-a100" in found.what
    assert "linux" in found.what
    assert found.where == "mmcicd.yaml:9:1"
    assert "Labels" in found.fix


def test_a_label_that_is_nearly_right_names_the_right_one():
    (found,) = labels({"linus": LabelFacts()})
    assert "write linux" in found.fix


def test_the_name_of_an_agent_is_not_offered_as_a_label():
    (found,) = labels({"b": LabelFacts()})
    assert "a," not in found.what


def test_agents_that_are_all_offline_fail_with_the_reason_that_jenkins_has():
    asleep = Node(name="gpu-1", labels=("gpu-a100",), online=False, why="disk is full")
    (found,) = labels({"gpu-a100": LabelFacts(nodes=(asleep,))})
    assert found.severity == "fail"
    assert "gpu-1: disk is full" in found.what


def test_one_that_is_online_is_enough():
    asleep = Node(name="gpu-1", online=False)
    assert [f.severity for f in labels({"gpu": LabelFacts(nodes=(asleep, LINUX))})] == ["ok"]


def test_an_agent_without_executors_runs_nothing():
    (found,) = labels({"linux": LabelFacts(nodes=(Node(name="Built-In Node", executors=0),))})
    assert found.severity == "fail"
    assert "no executor" in found.what


def test_a_cloud_makes_agents_when_they_are_asked_for():
    (found,) = labels({"gpu-a100": LabelFacts(clouds=("ec2",))})
    assert (found.severity, found.what) == ("ok", "agents gpu-a100 (made by ec2)")


def test_no_pods_no_clouds():
    assert list(agents.pods({}, None)) == []


def test_a_cloud_that_is_named_must_be_there():
    (found,) = agents.pods({"k8s": "mmcicd.yaml:3:1"}, ("other",))
    assert found.severity == "fail"
    assert "no cloud k8s; there are other" in found.what
    assert "name k8s" in found.fix
    assert [f.severity for f in agents.pods({"k8s": ""}, ("k8s",))] == ["ok"]


def test_any_cloud_will_do_when_none_is_named():
    assert [f.severity for f in agents.pods({"": ""}, ("k8s",))] == ["ok"]
    (found,) = agents.pods({"": ""}, ())
    assert found.what == "pods are asked for, and Jenkins has no cloud"


def test_clouds_that_are_hidden_are_not_checked_and_said_so():
    (found,) = agents.pods({"k8s": ""}, None)
    assert found.severity == "warn"
    assert "not checked" in found.what
    assert "k8s" in found.what
