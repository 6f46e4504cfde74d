"""YAML that others wrote, bounded before it is made into values: few lines may stand for billions."""

from typing import Any

import yaml

MAX_BYTES = 2 * 1024 * 1024
MAX_VALUES = 250_000
"""How many values, keys included, a document may stand for, aliases and merges counted each time.
A stack of five thousand workloads has fewer."""

MAX_CHARACTERS = 8 * 1024 * 1024
MAX_DEPTH = 100

_PARENTS = yaml.SequenceStartEvent | yaml.MappingStartEvent
_ENDS = yaml.SequenceEndEvent | yaml.MappingEndEvent
_TAG = "tag:yaml.org,2002:"
_PLAIN = {"null", "bool", "int", "float", "str", "seq", "map", "timestamp", "merge"}
_NUMBER_CHARACTERS = 80  # 64 bits, in binary


def load(text: str, loader_type: Any) -> Any:
    """The value of a document; None for an empty one.

    Args:
        text: the document.
        loader_type: a SafeLoader of PyYAML.

    Raises:
        yaml.YAMLError: it is malformed, or stands for more than is taken; with the place where it knows one.
    """
    if len(text) > MAX_BYTES:
        raise yaml.YAMLError(f"more than {MAX_BYTES >> 20} MiB")
    _check_events(text, loader_type)
    loader = loader_type(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, 0, {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_events(text: str, loader_type: Any) -> None:
    """Refuse what is nested so deep that PyYAML's composer, which recurses in C, would end the process."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, loader_type)):
        if isinstance(event, _PARENTS):
            depth += 1
        elif isinstance(event, _ENDS):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _refused(f"nested more than {MAX_DEPTH} levels deep", event)
        if count > MAX_VALUES:
            raise _refused(f"more than {MAX_VALUES} values", event)


Size = tuple[int, int, int]
"""The size of what a node stands for: how many values, characters, and levels below it."""


def _measure(node: yaml.Node, depth: int, known: dict[int, Size]) -> Size:
    """The size of a node, each looked at once however many aliases it has."""
    values, characters, levels = known.get(id(node)) or _measure_inside(node, depth, known)
    if depth + levels > MAX_DEPTH:
        raise _refused(f"nested more than {MAX_DEPTH} levels deep", node)
    known[id(node)] = values, characters, levels
    return known[id(node)]


def _measure_inside(node: yaml.Node, depth: int, known: dict[int, Size]) -> Size:
    tag = node.tag.removeprefix(_TAG)
    if tag not in _PLAIN:
        raise _refused(f"the tag !{tag}, which is for nothing that JSON has", node)
    if depth > MAX_DEPTH:  # an alias that is inside of what it stands for
        raise _refused(f"nested more than {MAX_DEPTH} levels deep", node)
    if isinstance(node, yaml.ScalarNode):
        if tag == "int" and len(node.value) > _NUMBER_CHARACTERS:
            raise _refused("a number of more than 64 bits", node)
        return 1, len(node.value), 0
    children = node.value
    if isinstance(node, yaml.MappingNode):
        if not all(isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            raise _refused("a key that is no text: quotes around it, if it begins with { or [", node)
        children = [item for pair in node.value for item in pair]
    values, characters, levels = 1, 0, 0
    for child in children:
        more_values, more_characters, below = _measure(child, depth + 1, known)
        values += more_values
        characters += more_characters
        levels = max(levels, below + 1)
    if values > MAX_VALUES or characters > MAX_CHARACTERS:
        raise _refused(
            f"more than {MAX_VALUES} values or {MAX_CHARACTERS >> 20} MiB, aliases counted each time", node
        )
    return values, characters, levels


def _refused(problem: str, at: yaml.Node | yaml.Event) -> yaml.YAMLError:
    mark: Any = at.start_mark
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
