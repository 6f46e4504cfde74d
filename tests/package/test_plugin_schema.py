"""What programs in other languages can say: the plugin's schema, held against the settings."""

import re
from enum import StrEnum
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from components.settings import models
from components.settings.value_types import OrOutput
from components.version import VERSION

COMPONENTS: dict[str, type[BaseModel]] = {
    "CollectorEgress": models.CollectorEgressSettings,
    "TrafficCapture": models.TrafficCaptureSettings,
    "WorkloadCapture": models.WorkloadCaptureSettings,
}
Schema = dict[str, Any]


def referred(schema: Schema, declaration: Schema) -> Schema:
    """The type that a property's ``$ref`` names."""
    found: Schema = schema["types"][declaration["$ref"].removeprefix("#/types/")]
    return found


def described(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def plain_types(annotation: Any) -> list[Any]:
    """A setting's types without the wrappings of optional values, rules and Outputs."""
    if get_origin(annotation) is Annotated:
        or_output = [item for item in annotation.__metadata__ if isinstance(item, OrOutput)]
        return plain_types(or_output[0].plain if or_output else get_args(annotation)[0])
    if get_origin(annotation) in {list, dict}:
        return [get_origin(annotation), *plain_types(get_args(annotation)[-1])]
    if isinstance(annotation, type):
        return [annotation]
    [inner] = [part for part in get_args(annotation) if part is not type(None)]
    return plain_types(inner)


def compare(
    schema: Schema, place: str, properties: Schema, required: list[str], model: type[BaseModel]
) -> int:
    """Hold properties against a model's fields, and return how many were compared, nested ones too."""
    fields = {to_camel(name): field for name, field in model.model_fields.items()}
    assert sorted(properties) == sorted(fields), place
    assert sorted(required) == sorted(key for key, field in fields.items() if field.is_required()), place
    compared = 0
    for key, field in fields.items():
        where, found = f"{place}.{key}", properties[key]
        assert described(found["description"]) == field.description, where
        or_output = [item.plain for item in field.metadata if isinstance(item, OrOutput)]
        annotation = or_output[0] if or_output else field.annotation
        compared += 1 + compare_type(schema, where, found, plain_types(annotation))
    return compared


def compare_type(schema: Schema, where: str, found: Schema, expected: list[Any]) -> int:
    match expected:
        case [container, *inner] if container in {list, dict}:
            assert found["type"] == ("array" if container is list else "object"), where
            nested = found["items" if container is list else "additionalProperties"]
            return compare_type(schema, f"{where}[]", nested, inner)
        case [model] if issubclass(model, BaseModel):
            nested = referred(schema, found)
            return compare(schema, where, nested["properties"], nested.get("required", []), model)
        case [enum] if issubclass(enum, StrEnum):
            members = referred(schema, found)
            assert members["type"] == "string", where
            assert [member["value"] for member in members["enum"]] == list(enum), where
        case [simple]:
            name = {str: "string", int: "integer", float: "number", bool: "boolean"}[simple]
            assert found["type"] == name, where
    return 0


def test_the_package_has_the_name_and_version_that_programs_know_it_by(schema: Schema) -> None:
    assert (schema["name"], schema["namespace"], schema["version"]) == ("astra-istio", "astra", VERSION)


def test_it_offers_the_three_components_by_their_type_tokens(schema: Schema) -> None:
    assert sorted(schema["resources"]) == [f"astra-istio:index:{name}" for name in COMPONENTS]
    assert all(resource["isComponent"] for resource in schema["resources"].values())


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_has_every_setting_with_its_type_and_description_and_requires_the_same(
    schema: Schema, component: str
) -> None:
    resource = schema["resources"][f"astra-istio:index:{component}"]
    inputs, required = resource["inputProperties"], resource["requiredInputs"]
    compared = compare(schema, component, inputs, required, COMPONENTS[component])
    assert compared > len(inputs)


def test_every_type_and_output_is_described(schema: Schema) -> None:
    undescribed = [
        f"{name}.{key}"
        for name, resource in schema["resources"].items()
        for key, output in resource["properties"].items()
        if not output.get("description")
    ]
    undescribed += [name for name, declared in schema["types"].items() if not declared.get("description")]
    assert undescribed == []


def test_what_decides_about_the_script_is_plain_and_names_namespaces_and_labels_may_be_outputs(
    schema: Schema,
) -> None:
    inputs = schema["resources"]["astra-istio:index:WorkloadCapture"]["inputProperties"]
    egress = schema["types"]["astra-istio:index:EgressArgs"]["properties"]
    outputs = {key for key, declared in inputs.items() if not declared.get("plain")}
    assert outputs == {"namespace", "labels", "filterName"}
    assert {key for key, declared in egress.items() if not declared.get("plain")} == {"name", "namespace"}
