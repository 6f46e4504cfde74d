"""The TypeScript declarations of a package's SDK, from its schema, as Pulumi's generator has them.

See pulumi/pulumi, pkg/codegen/nodejs/gen.go: properties are Inputs unless they are plain, optional unless
they are required, and an enum is the union of its values, with a constant for each.
"""

from typing import Any

Schema = dict[str, Any]
_SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}


def declarations(schema: Schema) -> str:
    """The text of ``index.d.ts``."""
    lines = ['import * as pulumi from "@pulumi/pulumi";']
    for token, declared in schema["types"].items():
        name = token.rpartition(":")[2]
        if "enum" in declared:
            members = [f"{member['name']}: {member['value']!r}" for member in declared["enum"]]
            lines.append(f"export declare const {name}: {{ {'; '.join(members)} }};")
            lines.append(f"export type {name} = (typeof {name})[keyof typeof {name}];")
        else:
            lines.append(f"export interface {name} {{")
            lines += _properties(declared["properties"], declared.get("required", []), inputs=True)
            lines.append("}")
    for token, resource in schema["resources"].items():
        name = token.rpartition(":")[2]
        lines.append(f"export interface {name}ComponentArgs {{")
        lines += _properties(resource["inputProperties"], resource["requiredInputs"], inputs=True)
        lines.append("}")
        lines.append(f"export declare class {name} extends pulumi.ComponentResource {{")
        arguments = f"name: string, args: {name}ComponentArgs, opts?: pulumi.ComponentResourceOptions"
        lines.append(f"constructor({arguments});")
        lines += [
            f"readonly {key}: pulumi.Output<{_type(found, inputs=False)}>;"
            for key, found in resource["properties"].items()
        ]
        lines.append("}")
    return "\n".join(lines)


def _properties(properties: Schema, required: list[str], *, inputs: bool) -> list[str]:
    return [
        f"{key}{'' if key in required else '?'}: {_type(found, inputs=inputs)};"
        for key, found in properties.items()
    ]


def _type(found: Schema, *, inputs: bool) -> str:
    if "$ref" in found:
        text = found["$ref"].rpartition(":")[2]
    elif found["type"] == "array":
        text = f"Array<{_type(found['items'], inputs=inputs)}>"
    elif found["type"] == "object":
        text = f"{{ [key: string]: {_type(found['additionalProperties'], inputs=inputs)} }}"
    else:
        text = _SIMPLE[found["type"]]
    return f"pulumi.Input<{text}>" if inputs and not found.get("plain") else text
