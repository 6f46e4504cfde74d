"""A stack's configuration as the Pulumi engine hands it to a program, from its file and ``Pulumi.yaml``.

Follows pulumi/pulumi, ``pkg/workspace/config.go`` (defaults, missing keys, types),
``sdk/go/common/workspace`` (files) and ``sdk/go/common/resource/config`` (values as text), and reads YAML as
go-yaml v3 does.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..settings.validation import format_path, shown
from . import bounded_yaml

REFERENCES = "stack-references.yaml"
"""The file, beside ``Pulumi.yaml``, that says the outputs of other stacks where there is no engine to ask."""


class StackFileError(Exception):
    """A file that cannot be read; the message is one line."""


class NoStackError(StackFileError):
    """A stack that does not exist."""


@dataclass
class Configuration:
    """What the engine hands to a program, and what it would refuse before that.

    Attributes:
        project: the project's name, the namespace of its own keys.
        main: the folder of the program, relative to that of ``Pulumi.yaml``.
        values: values by ``namespace:key``; objects as JSON.
        secrets: keys whose value is encrypted, wholly or in part.
        secure: paths of the project's own encrypted values.
        problems: why the engine would not run the program, by the project's own key.
        warnings: what is left out, one line each.
    """

    project: str
    main: str = "."
    values: dict[str, str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    secure: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def load(folder: Path, stack: str) -> Configuration:
    """Read a stack's configuration.

    Args:
        folder: where ``Pulumi.yaml`` is.
        stack: the stack's name.

    Raises:
        StackFileError: a file is missing or malformed.
    """
    project, path = find(folder, stack)
    if not isinstance(project.get("name"), str):
        raise StackFileError(f"{folder / 'Pulumi.yaml'}: no name, expected `name: PROJECT`")
    content = _read(path)
    for key in content:
        if key != "config" and difflib.get_close_matches(key, ["config"]):
            raise StackFileError(f"{path}: unknown key {key!r}, did you mean config?")
        if key.startswith(f"{project['name']}:"):
            raise StackFileError(f"{path}: got {key} at the top, expected it below `config:`")
    configuration = Configuration(project=project["name"], main=str(project.get("main", ".")))
    if "environment" in content:
        configuration.warnings.append(
            "environment: left out, only the Pulumi engine can open it. `pulumi preview` and `pulumi up` "
            "take keys from it; without the engine, only keys below `config:` count, which also override it"
        )
    given = _by_namespace(configuration.project, content.get("config"), path)
    declared = _by_namespace(configuration.project, project.get("config"), folder / "Pulumi.yaml")
    _complete(configuration, given, declared)
    own = f"{configuration.project}:{configuration.project}"
    if isinstance(given.get(own), dict) and declared and own not in declared:
        raise StackFileError(
            f"{path}: got keys below {configuration.project}, expected each of them below `config:`, as "
            f"{configuration.project}:KEY"
        )
    for key, value in given.items():
        _add(configuration, key, value)
    return configuration


def find(folder: Path, stack: str) -> tuple[dict[str, Any], Path]:
    """What ``Pulumi.yaml`` says, and the stack's file.

    Raises:
        NoStackError: there is no such stack.
        StackFileError: ``Pulumi.yaml`` is missing or malformed.
    """
    if not (folder / "Pulumi.yaml").exists():
        raise StackFileError(f"{folder / 'Pulumi.yaml'}: not there, expected the folder of a Pulumi project")
    project = _read(folder / "Pulumi.yaml")
    stack_folder = folder / str(project.get("stackConfigDir", "."))
    path = stack_folder / f"Pulumi.{stack}.yaml"
    is_name = re.fullmatch(r"[A-Za-z0-9_.-]+", stack)
    if not is_name or not path.is_file():
        stacks = sorted(
            file.name[len("Pulumi.") : -len(".yaml")] for file in stack_folder.glob("Pulumi.?*.yaml")
        )
        expected = f"expected one of {', '.join(stacks)}"
        if not stacks:
            expected = f"no stack files there: make {path.name if is_name else 'Pulumi.dev.yaml'}"
        raise NoStackError(f"no stack {stack!r} in {stack_folder}, {expected}")
    return project, path


def references(folder: Path) -> dict[str, dict[str, Any]]:
    """What stands in for the outputs of other stacks, by the stacks' full names; none without the file.

    Raises:
        StackFileError: the file is malformed.
    """
    path = folder / REFERENCES
    stacks = _read(path) if path.exists() else {}
    for stack, outputs in stacks.items():
        if not isinstance(outputs, dict):
            raise StackFileError(f"{path}: got {stack} {shown(outputs)}, expected a mapping of its outputs")
    return stacks


def _by_namespace(project: str, config: object, path: Path) -> dict[str, Any]:
    entries = {} if config is None else config
    if not isinstance(entries, dict):
        expected = "a mapping, `KEY: VALUE` with a blank after the colon"
        raise StackFileError(f"{path}: got config {shown(config)}, expected {expected}")
    return {key if ":" in key else f"{project}:{key}": value for key, value in entries.items()}


def _complete(configuration: Configuration, given: dict[str, Any], declared: Mapping[str, Any]) -> None:
    """Add the project's defaults to the stack's values, and note what the engine would refuse."""
    for key, declaration in declared.items():
        schema = declaration if isinstance(declaration, dict) else {"default": declaration}
        fallback = schema.get("default", schema.get("value"))
        own_key = key.removeprefix(f"{configuration.project}:")
        expected = _TYPES.get(str(schema.get("type")), "a value")
        if key not in given and fallback is not None:
            given[key] = fallback
        elif key not in given and own_key != key:
            configuration.problems[own_key] = f"{own_key}: missing, expected {expected}"
        elif key in given and not _has_type(given[key], schema.get("type")):
            got = "nothing" if given[key] is None else shown(given[key])
            # As `pulumi config set KEY '{...}'` stores it.
            is_json = isinstance(given[key], str) and given[key].startswith(("{", "["))
            hint = ", without quotes around it" if is_json else ""
            configuration.problems[own_key] = f"{own_key}: got {got}, expected {expected}{hint}"


_TYPES = {"string": "a string", "object": "a mapping", "array": "a list"}


def _has_type(value: object, type_name: str | None) -> bool:
    match type_name:
        case "string":
            return not isinstance(value, dict | list) or _is_secure(value)
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
    return True


def _add(configuration: Configuration, key: str, value: object) -> None:
    own_key = key.removeprefix(f"{configuration.project}:")
    secure = list(_secure_paths(value, (own_key,)))
    if secure and own_key == key:
        # Secrets of another namespace are for providers, and no provider is called here.
        configuration.warnings += [
            f"{path}: left out, only the Pulumi engine can decrypt it" for path in secure
        ]
        return
    if secure:
        configuration.secrets.add(key)
        configuration.secure += secure
    configuration.values[key] = _as_text(value)


def _is_secure(value: object) -> bool:
    return isinstance(value, dict) and list(value) == ["secure"] and isinstance(value["secure"], str)


def _secure_paths(value: object, path: tuple[str | int, ...]) -> Iterator[str]:
    if _is_secure(value):
        yield format_path(path)
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _secure_paths(item, (*path, key))


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Pulumi reads it: ``yes``, ``on`` and ``12:30`` are strings, and a key comes once."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own protocol

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        """A mapping with string keys, each once."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {shown(key.value)} twice", key.start_mark
                )
            seen.add(key.value)
        return {str(key): value for key, value in super().construct_mapping(node, deep).items()}

    def construct_time(self, node: yaml.ScalarNode) -> str:
        """A date as Go writes it, since the engine has no other type for it."""
        return f"{self.construct_yaml_timestamp(node)} +0000 UTC"


FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
NUMBER_STARTS = list("-+.0123456789")
for _tag, _pattern, _starts in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0b[01_]+|0o?[0-7_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*)", NUMBER_STARTS),
    ("float", FLOAT, NUMBER_STARTS),
    ("timestamp", r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].+)?", NUMBER_STARTS),
    ("merge", r"<<", ["<"]),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _starts)
Loader.add_constructor("tag:yaml.org,2002:timestamp", Loader.construct_time)


def _read(path: Path) -> dict[str, Any]:
    text = ""
    try:
        with path.open("rb") as file:
            text = file.read(bounded_yaml.MAX_BYTES + 1).decode("utf-8-sig")
        content = bounded_yaml.load(text, Loader)
    except OSError as error:
        raise StackFileError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StackFileError(f"{path}: not UTF-8") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character {chr(error.character)!r}, which YAML does not allow"
        raise StackFileError(f"{path}:{line}: {what}") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise StackFileError(f"{place}: {_what_is_wrong(error, text)}") from None
    if content is None:  # nothing, or comments
        return {}
    if not isinstance(content, dict):
        raise StackFileError(f"{path}: got {shown(content)}, expected a mapping")
    return content


# What libyaml says, and what to do then.
_NEXT_STEPS = {
    "mapping values are not allowed in this context": "one `KEY: VALUE` on a line, as far in as its "
    "neighbours, with quotes around a text that has ': ' in it",
    "could not find expected ':'": "`KEY: VALUE`, with a blank after the colon",
    "found character that cannot start any token": "quotes around a text that begins with @, ` or %",
    "did not find expected alphabetic or numeric character": "quotes around a text that begins with * or &",
    "found undefined alias": "quotes around a text that begins with *",
    "did not find expected ',' or ']'": "the ] of the list that begins before",
    "did not find expected ',' or '}'": "the } of the mapping that begins before",
    "did not find expected key": "all keys of a mapping as far in as each other",
    "expected a single document in the stream": "one document, without a line `---` between two",
}
_MERGE_MARKS = ("<<<<<<< ", "=======", ">>>>>>> ")


def _what_is_wrong(error: Exception, text: str) -> str:
    """What a reader of YAML complains about, and what was expected."""
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None) or ""
    if mark and _is_indented_by_tab(text, mark.line):
        return "a tab before the first word, expected spaces, as YAML indents by spaces alone"
    if any(line.startswith(_MERGE_MARKS) for line in text.splitlines()):
        return "cannot be read: the marks of an unfinished merge by git are in the file"
    expected = _NEXT_STEPS.get(what) or _NEXT_STEPS.get(context)
    if what.startswith("but "):
        what = f"{context} {what}"
    return f"{what}: expected {expected}" if expected else what


def _is_indented_by_tab(text: str, line: int) -> bool:
    """Whether a line, counted from 0, has a tab among the blanks that it starts with."""
    found = text.split("\n")[line : line + 1]
    return bool(found) and "\t" in found[0][: len(found[0]) - len(found[0].lstrip())]
