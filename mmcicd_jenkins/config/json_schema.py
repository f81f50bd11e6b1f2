"""The JSON Schema of `mmcicd.yaml`, made from the schema's own declarations, so that editors complete and explain."""

import json
from typing import Any

from mmcicd_jenkins.config.catalogue import all_keys
from mmcicd_jenkins.config.schema import FileSection

DIALECT = "http://json-schema.org/draft-07/schema#"
PLACE = ".mmcicd/schema.json"


def json_schema() -> dict[str, Any]:
    """Draft 7 with `$defs`, which the YAML language server reads."""
    schema = _generator()(by_alias=True).generate(FileSection.core_schema())
    definitions = schema["$defs"]
    for definition in definitions.values():
        _allow_one(definition)
    for name, shorthand in _shorthands().items():
        alone = dict(definitions[name]["properties"][shorthand])
        description = definitions[name].get("description", "")
        definitions[name] = {"anyOf": [alone, definitions[name]], "description": description}
    return {"$schema": DIALECT, "title": "mmcicd.yaml", **{k: v for k, v in schema.items() if k != "title"}}


def _generator() -> Any:
    """The one of pydantic, which reads schemas of pydantic-core. Only `config schema` waits for it."""
    from pydantic.json_schema import GenerateJsonSchema

    class Explained(GenerateJsonSchema):
        def model_field_schema(self, schema: Any) -> dict[str, Any]:
            explained: dict[str, Any] = super().model_field_schema(schema) | schema["metadata"]
            return explained

    return Explained


def schema_bytes() -> bytes:
    """The file that editors are pointed to; the same bytes each time."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False).encode() + b"\n"


def _shorthands() -> dict[str, str]:
    """Class name -> the field for which one text may stand alone."""
    sections = {key.section for key in all_keys() if key.section}
    return {section.__name__: section.shorthand for section in sections if section.shorthand}


def _allow_one(schema: Any) -> None:
    """Where a list of texts stands, one text may stand alone."""
    for name, field in schema.get("properties", {}).items():
        items = field.get("items", {})
        if field.get("type") == "array" and items.get("type") == "string":
            kept = {k: field.pop(k) for k in ("type", "items", "minItems") if k in field}
            schema["properties"][name] = {"anyOf": [kept, items], **field}
