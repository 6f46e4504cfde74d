"""Rules for settings, and what is said about settings that break them. Knows no setting.

What is wrong is reported all at once, a line per problem, with the key's path as the user spelled it.
"""

import difflib
import json
import re
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

import pulumi
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from .value_types import OrOutput, Rule, is_output

_SHOWN_CHARACTERS = 80
_SHOWN_KEYS = 3
_USER_INFORMATION = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)?.*(?:@|%40)", re.DOTALL)
_TOKEN = re.compile(
    r"(-----BEGIN |\beyJ|(?i:\b(?:bearer|basic) )|\b[spr]k_(?:live|test)_|\bgh[opsu]_|\bxox[bp]-|\bAKIA).*",
    re.DOTALL,
)
_SECRET_KEY = re.compile(r"pass|pwd|secret|token|credential|private|api.?key", re.IGNORECASE)
# As of shells and Pulumi ESC, of Helm, and of documentation.
_PLACEHOLDER = re.compile(r"\$\{[^{}]*\}|\$[A-Z_]+\b|\{\{.*?\}\}|<[^<>]+>")
# Of JSON's strings, those that YAML reads alike without quotes.
_NEEDS_NO_QUOTES = re.compile(
    r'"(?!(?i:true|false|null|yes|no|on|off|y|n)")([A-Za-z/](?:[A-Za-z0-9/._ -]*[A-Za-z0-9/._-])?)"'
)
_IN_YAML = {"None": "nothing", "True": "true", "False": "false"}
_WHY_PLAIN = {
    "a secret": "in plain text: one secret in the script hides the whole script from review",
    "an Output": "known at preview: one secret or unknown value in the script hides all of it from review "
    "(await another stack's output first, with StackReference.get_output_details)",
}

Path = tuple[str | int, ...]
"""Field names and mapping keys from the outermost settings inwards."""

ModelT = TypeVar("ModelT", bound=BaseModel)


class SettingsError(pulumi.RunError):
    """Settings that cannot be used. Pulumi shows it as one message, without a traceback.

    It is no ValueError: of those Pulumi makes messages of its own, with whole resources in them.

    Attributes:
        problems: what is wrong, a line each: the key's path in the user's spelling, the value, what was
        expected.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        listed = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(
            problems[0] if len(problems) == 1 else f"{len(problems)} problems in the settings:{listed}"
        )


class Spelling(Enum):
    """How keys are written where settings come from."""

    CONFIG = "camelCase"
    PYTHON = "snake_case"


class Problem(NamedTuple):
    """A problem found by a rule over several settings.

    Attributes:
        path: where it is.
        text: what is wrong there.
        is_warning: it is allowed, and the user should know.
    """

    path: Path
    text: str
    is_warning: bool = False


class Secret:
    """Stands for an encrypted value, which nothing may show."""

    def __repr__(self) -> str:
        return "a secret"


def parse(model: type[ModelT], values: Mapping[str, Any], spelling: Spelling) -> ModelT:
    """Validate settings by their types, bounds and rules.

    Raises:
        pydantic.ValidationError: :func:`explain` puts it into words.
    """
    config = spelling is Spelling.CONFIG
    return model.model_validate(values, by_alias=config, by_name=not config)


def explain(annotation: Any, error: ValidationError, spelling: Spelling, prefix: Path = ()) -> list[str]:
    """One line per mistake: the key's path as the user spelled it, the value, what was expected.

    Args:
        annotation: the model or type that was validated.
        error: what it found.
        spelling: how the user writes keys.
        prefix: the path of the validated value.
    """
    lines = []
    for mistake in error.errors():
        location, value = mistake["loc"], mistake["input"]
        path = format_path((*prefix, *location)) or "settings"
        if location and location[-1] == "[key]":
            path = format_path((*prefix, *location[:-1]))
            complaint = f"not a legal key, expected {_Type.at(annotation, location[:-2]).key.expected}"
        elif mistake["type"] == "extra_forbidden":
            paths = _Type.at(annotation, location[:-1]).paths(spelling)
            complaint = f"unknown key, {nearest(str(location[-1]), paths)}"
        elif mistake["type"] == "missing":
            complaint = f"missing, expected {_Type.at(annotation, location).expected}"
        elif is_output(value) or isinstance(value, Secret):
            setting = _Type.at(annotation, location)
            what = "a secret" if isinstance(value, Secret) else "an Output"
            # The engine says of a key with an object that there is a secret in it, not where.
            place = " in it" if what == "a secret" and setting.is_mapping else ""
            complaint = f"got {what}{place}, expected {setting.expected}, {_WHY_PLAIN[what]}"
        else:
            got = _IN_YAML.get(repr(value), shown(value)) if spelling is Spelling.CONFIG else shown(value)
            setting = _Type.at(annotation, location)
            complaint = f"got {got}, expected {setting.expected}{_meant(setting, value, spelling)}"
        lines.append(f"{path}: {complaint}")
    return lines


def placeholder(value: str) -> str:
    """What to say of a value with a placeholder that another tool would fill in; nothing for other values."""
    found = _PLACEHOLDER.search(value)
    if found is None:
        return ""
    return f": nothing fills in {_cut(without_secrets(found[0]))} here, write what it stands for"


def _meant(setting: "_Type", value: object, spelling: Spelling) -> str:
    """The end of a message about a wrong value: what may have been meant by it, or what to leave out."""
    if isinstance(value, str):
        meant = placeholder(value) or setting.meant(value) or _meant_by_text(setting, value, spelling)
        return meant or _keys_of(setting, spelling)
    if isinstance(value, list) and setting.base is dict:
        return _such_as(_merged(value, setting), spelling)
    if isinstance(value, dict) and setting.base is list:
        return _such_as([value], spelling)
    if isinstance(value, list) and setting.base is str:
        return ", not a list"
    if value == 0 and setting.is_nullable:  # false, too
        return ", or null"
    return _keys_of(setting, spelling) or (_where_keys_are(setting, spelling) if value is None else "")


def _keys_of(setting: "_Type", spelling: Spelling) -> str:
    """Some keys of a group of settings, for a user who wrote something else in its place."""
    if not issubclass(setting.base, BaseModel):
        return ""
    keys = [key for key in setting.paths(spelling) if "." not in key]
    return f", with keys such as {', '.join(keys[:_SHOWN_KEYS])}"


def _where_keys_are(setting: "_Type", spelling: Spelling) -> str:
    """What to say of a mapping with nothing behind its key: the lines below it may not be indented."""
    if setting.base is not dict or spelling is Spelling.PYTHON:
        return ""
    none = "" if setting.must_have_entries else "; or {} for none"
    return f", its keys on the next lines, further in{none}"


def _meant_by_text(setting: "_Type", text: str, spelling: Spelling) -> str:
    if setting.base is list:
        items = [item.strip() for item in text.split(",") if item.strip()]
        is_choice = issubclass(setting.item(0).base, Enum)
        return _such_as(items, spelling) if not is_choice or {*items} <= {*setting.item(0).base} else ""
    if setting.base is dict:
        # As kubectl writes labels.
        is_pairs = re.fullmatch(r"[^=,\s]+=[^=,]*(,[^=,\s]+=[^=,]*)*", text)
        return _such_as(dict(pair.split("=") for pair in text.split(",")), spelling) if is_pairs else ""
    return _meant_by_word(setting, text)


def _meant_by_word(setting: "_Type", text: str) -> str:
    if text != text.strip():
        return "" if "\n" in text.strip() else ", without blanks around it"
    if setting.base is bool and text.lower() in {"true", "false"}:
        return ", without quotes"
    if setting.base in {int, float} and re.match(r"[-+]?\d[\d.]*\s*[^\d.,\s]", text):
        return ", without a unit"
    if issubclass(setting.base, Enum):
        # Only what is almost the same: a wrong guess here may send traffic elsewhere.
        names = {name.lower(): name for name in setting.base}
        near = difflib.get_close_matches(text.lower(), names, n=1, cutoff=0.8)
        return f", did you mean {names[near[0]]}?" if near else ""
    return ""


def _merged(items: list[Any], setting: "_Type") -> dict[Any, Any]:
    """The mapping that a user may have meant by a list; an empty one if there is no such mapping.

    If the mapping has groups of settings by name, each item has to say its name, as in Kubernetes' lists.
    Otherwise each item has to be a mapping with one key.
    """
    if not all(isinstance(item, dict) for item in items):
        return {}
    if setting.item("").is_mapping:
        named = all(isinstance(item.get("name"), str) for item in items)
        return {item.pop("name"): item for item in map(dict, items)} if named else {}
    have_one_key = all(len(item) == 1 for item in items)
    return {key: of for item in items for key, of in item.items()} if have_one_key else {}


def _such_as(meant: list[Any] | dict[Any, Any], spelling: Spelling) -> str:
    """A list or a mapping as a user would write it; nothing for an empty one."""
    if not meant:
        return ""
    if spelling is Spelling.PYTHON:
        return f", such as {shown(meant)}"
    text = _NEEDS_NO_QUOTES.sub(r"\1", json.dumps(_masked(meant), ensure_ascii=False))
    return f", such as {_cut(text)}"


class _Type:
    """A type of a setting with everything its annotation says, as error messages need it."""

    def __init__(self, annotation: Any) -> None:
        self.metadata: list[Any] = []
        self.is_nullable = False
        while True:
            arguments = get_args(annotation)
            if get_origin(annotation) is Annotated:
                or_output = next((item for item in arguments[1:] if isinstance(item, OrOutput)), None)
                self.metadata.extend(arguments[1:])
                annotation = or_output.plain if or_output else arguments[0]
            elif get_origin(annotation) in {Union, types.UnionType}:
                self.is_nullable = types.NoneType in arguments
                annotation = next(item for item in arguments if item is not types.NoneType)
            else:
                break
        self.base = get_origin(annotation) or annotation
        self.arguments = get_args(annotation)

    @classmethod
    def at(cls, annotation: Any, location: Path) -> "_Type":
        current = cls(annotation)
        for key in location:
            current = current.item(key)
        return current

    def item(self, key: str | int) -> "_Type":
        if self.base is list:
            return _Type(self.arguments[0])
        if self.base is dict:
            return _Type(self.arguments[1])
        field = next(info for name, info in self.base.model_fields.items() if key in {name, info.alias})
        return _Type(Annotated[field.annotation, None, *field.metadata])

    def meant(self, text: str) -> str:
        """What the type's rule says of a text that it does not accept, unless that may show a secret."""
        if without_secrets(text) != text:
            return ""
        return "".join(item.meant(text) for item in self.metadata if isinstance(item, Rule))

    @property
    def key(self) -> "_Type":
        return _Type(self.arguments[0])

    @property
    def is_mapping(self) -> bool:
        return issubclass(self.base, dict | BaseModel)

    @property
    def must_have_entries(self) -> bool:
        """Whether it may not be empty."""
        return any(name == "min_length" for item in self.metadata for name, _ in _bounds(item))

    def paths(self, spelling: Spelling) -> list[str]:
        """Its keys; and as ``outer.inner``, the keys of the models inside of it."""
        keys = {name: spelled(name, spelling) for name in self.base.model_fields}
        inner = {
            key: self.item(name) for name, key in keys.items() if issubclass(self.item(name).base, BaseModel)
        }
        return [
            *keys.values(),
            *(f"{key}.{path}" for key, inner_type in inner.items() for path in inner_type.paths(spelling)),
        ]

    @property
    def expected(self) -> str:
        bounds = {name: bound for item in self.metadata for name, bound in _bounds(item)}
        for item in self.metadata:
            if isinstance(item, Rule):
                return item.expected
        if issubclass(self.base, Enum):
            return f"one of {', '.join(self.base)}"
        if self.base in {int, float}:
            number = "a whole number" if self.base is int else "a number"
            return f"{number} from {bounds['ge']} to {bounds['le']}"
        if self.base is bool:
            return "true or false"
        if self.base is str:
            return "a string"
        size = f" with at least {bounds['min_length']} entry" if "min_length" in bounds else ""
        if "max_length" in bounds:
            least = f"{bounds['min_length']} to" if "min_length" in bounds else "at most"
            size = f" of {least} {bounds['max_length']} entries"
        return f"{'a list' if self.base is list else 'a mapping'}{size}"


def _bounds(item: object) -> list[tuple[str, object]]:
    return [
        (name, getattr(item, name))
        for name in ("ge", "le", "min_length", "max_length")
        if hasattr(item, name)
    ]


def object_keys(model: type[BaseModel], spelling: Spelling) -> set[str]:
    """The keys of a model whose values are mappings."""
    return {
        spelled(name, spelling)
        for name in model.model_fields
        if issubclass(_Type.at(model, (name,)).base, dict | BaseModel)
    }


def expected(model: type[BaseModel], field: str) -> str:
    """What a setting has to be, in the words of an error message, items of lists and mappings included."""
    annotation = model.model_fields[field].annotation
    setting = _Type.at(model, (field,))
    text = setting.expected
    if any(isinstance(item, Rule) for item in setting.metadata):
        pass  # which says it all
    elif setting.base is list:
        text += f", each {setting.item(0).expected}"
    elif setting.base is dict:
        text += f"; each key {setting.key.expected}; each value {setting.item('').expected}"
    if any(isinstance(item, OrOutput) for item in setting.metadata):
        text += "; in Python it may be an Output"
    return f"{text}; or null" if types.NoneType in get_args(annotation) else text


def spelled(field: str, spelling: Spelling) -> str:
    """A field's key in a spelling."""
    return to_camel(field) if spelling is Spelling.CONFIG else field


def in_words(model: type[BaseModel], problem: Problem, spelling: Spelling) -> str:
    """The line for a problem found by a rule over several settings."""
    current, location = _Type(model), list[str | int]()
    for key in problem.path:
        is_field = (
            isinstance(key, str) and isinstance(current.base, type) and issubclass(current.base, BaseModel)
        )
        location.append(spelled(str(key), spelling) if is_field else key)
        current = current.item(key)
    return f"{format_path(tuple(location))}: {problem.text}"


def format_path(location: Path) -> str:
    """A path as ``pulumi config set --path`` takes it."""
    path = "".join(
        f".{key}"
        if re.fullmatch(r"[A-Za-z0-9_-]+", str(key)) and isinstance(key, str)
        else f"[{json.dumps(key)}]"
        for key in location
    )
    return path.removeprefix(".")


def nearest(key: str, known: list[str]) -> str:
    """The end of the message about an unknown key.

    Args:
        key: what was written.
        known: the keys that its place may have, and paths of keys further inside.
    """
    keys = [path for path in known if "." not in path]
    # A key that another place has is meant exactly, though one here may look like it.
    for path in known:
        outer, _, name = path.rpartition(".")
        if outer and key in {path, name}:
            return f"expected {name} inside of {outer}"
    by_lower_case = {path.lower(): path for path in keys}
    near = difflib.get_close_matches(key.lower(), by_lower_case, n=1)
    if near:
        return f"did you mean {by_lower_case[near[0]]}?"
    return f"expected one of {', '.join(keys)}"


def shown(value: object) -> str:
    """A value as an error message shows it: without what may be a secret, and not too long."""
    return _cut(repr(_masked(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def _masked(value: object) -> object:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, list):
        return [_masked(item) for item in value[:_SHOWN_CHARACTERS]]
    if isinstance(value, dict):
        return {
            _masked(key): "***" if _SECRET_KEY.search(str(key)) and isinstance(item, str) else _masked(item)
            for key, item in list(value.items())[:_SHOWN_CHARACTERS]
        }
    return value


def without_secrets(text: str) -> str:
    """A text without what may be a secret, by its form or its place in a URL.

    Masked are the user information of a URL, which is all before the last ``@``, however it is written (a
    password may hold any of ``/?#``); its query and fragment; tokens and keys that say what they are.
    """
    text = _USER_INFORMATION.sub(r"\1***@", text)
    if "://" in text:
        text = re.sub(r"[?#].*", "?***", text, flags=re.DOTALL)
    return _TOKEN.sub(r"\1***", text)


def resolved(path: Path, value: Any, annotation: Any) -> Any:
    """Check what an Output turned out to hold, by the rule of its plain type.

    Args:
        path: what the value was given for.
        value: the resolved value.
        annotation: the plain type, such as :data:`Namespace`.

    Raises:
        SettingsError: the value breaks the rule.
    """
    try:
        return _adapter(annotation).validate_python(value)
    except ValidationError as error:
        raise SettingsError(explain(annotation, error, Spelling.PYTHON, prefix=path)) from None


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=ConfigDict(strict=True))
