"""What editors are told agrees with what the loader accepts."""

import copy
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from mmcicd_jenkins.config.json_schema import json_schema, schema_bytes
from mmcicd_jenkins.config.reference import reference

FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = json_schema()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@pytest.mark.parametrize("name", ["churn", "platform"])
def test_it_accepts_the_files_that_the_project_promises(name: str, validator: Draft7Validator) -> None:
    assert list(validator.iter_errors(yaml.safe_load((FILES / f"{name}.yaml").read_text()))) == []


WRONG = {
    "unknown key": lambda f: f.update(stoer={}),
    "no train": lambda f: f["models"]["fraud"].pop("train"),
    "kind of problem": lambda f: f["models"]["fraud"].update(evaluate="binari"),
    "duration": lambda f: f["models"]["fraud"]["train"].update(timeout="8 hours"),
    "replicas": lambda f: f["environments"]["production"].update(replicas=0),
    "unknown deep key": lambda f: f["environments"]["production"]["monitor"]["slo"].update(latency="1s"),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_refuses(name: str, validator: Draft7Validator) -> None:
    file = copy.deepcopy(yaml.safe_load((FILES / "platform.yaml").read_text()))
    WRONG[name](file)
    assert not validator.is_valid(file)


@pytest.mark.parametrize("short", ["train: x", "evaluate: binary", "data: {a: s3://b/c}", "gates: a >= 1"])
def test_what_may_stand_alone(short: str, validator: Draft7Validator) -> None:
    model = {"train": {"command": "x"}, "evaluate": {"problem": "binary"}, **yaml.safe_load(short)}
    assert validator.is_valid({"models": {"m": model}})


def test_every_property_has_a_description() -> None:
    schema = json_schema()
    for section in [schema, *schema["$defs"].values()]:
        for inside in [section, *section.get("anyOf", [])]:
            for name, field in inside.get("properties", {}).items():
                assert field.get("description") or "$ref" in field, name


def test_it_is_the_same_each_time() -> None:
    assert schema_bytes() == schema_bytes()


def test_the_reference_page_is_up_to_date() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "config.md"
    made = "python -m mmcicd_jenkins.config.reference > docs/reference/config.md"
    assert page.read_text() == reference(), f"the page is stale; write it with: {made}"


def test_every_link_of_the_reference_page_leads_to_a_heading() -> None:
    import re

    page = reference()
    headings = {
        h.lower().replace(".", "").replace(" ", "-") for h in re.findall(r"^## (.+)$", page, re.MULTILINE)
    }
    assert set(re.findall(r"\(#([^)]+)\)", page)) <= headings
