"""The types of settings' values, each with its rule: the one place of the rules for names, DNS and labels."""

import json
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union

import pulumi
from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")

# pulumi.Input names Output by a string, which pydantic cannot resolve.
Input = Union[T, Awaitable[T], pulumi.Output[T]]  # noqa: UP007 - a generic alias


@dataclass(frozen=True)
class Rule:
    """What a value of the annotated type has to be, beyond its type.

    Attributes:
        expected: the rule in words; completes "expected ...".
        accepts: the rule in code; called with a value of the right type.
        meant: the end of the message about a text that is not accepted: why not, or what may be meant.
    """

    expected: str
    accepts: Callable[[Any], object]
    meant: Callable[[str], str] = lambda _: ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: Any) -> Any:
        if not self.accepts(value):
            raise ValueError(self.expected)
        return value


@dataclass(frozen=True)
class OrOutput:
    """Lets an Output through unchecked: whoever resolves it checks it, with ``validation.resolved``.

    Attributes:
        plain: the annotated type when it is not an Output.
    """

    plain: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source
        return core_schema.no_info_wrap_validator_function(
            lambda value, inner: value if is_output(value) else inner(value),
            handler.generate_schema(self.plain),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value),
        )


def is_output(value: object) -> bool:
    """Whether a value is known only later."""
    return isinstance(value, pulumi.Output | Awaitable)


FILTER_NAME_PREFIX = "astra-istio-mesh-filter-"

# RFC 1123, as Kubernetes applies it (k8s.io/apimachinery, pkg/util/validation).
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_QUALIFIED_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_TOKEN = r"[!#$%&'*+.^_`|~0-9a-z-]+"  # noqa: S105 - RFC 9110's `token`, in lower case
_MEDIA_NAME = r"[a-z0-9][a-z0-9!#$&^_.+-]*"  # RFC 6838's `restricted-name`

MAX_NAME = 253
MAX_WORKLOAD_NAME = MAX_NAME - len(FILTER_NAME_PREFIX)

MAX_PHRASE = 128
"""Characters of a phrase that makes a name secret."""

MAX_WORDS = 3
"""Words of such a phrase: the filter looks at no more words of a name at once (lua/names.lua)."""

# Where a word ends in customerId and in APIKey.
_CASE_CHANGE = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _matches(pattern: str, limit: int | None = None) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: (limit is None or len(text) <= limit) and compiled.fullmatch(text) is not None


is_dns_name = _matches(_SUBDOMAIN, MAX_NAME)
is_namespace = _matches(_DNS_LABEL)
# JSON's numbers, RFC 8259, 6.
_NUMBER = _matches(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", limit=32)


def _is_label_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(re.fullmatch(_QUALIFIED_NAME, name) and (not slash or is_dns_name(prefix)))


def _is_words(text: str) -> bool:
    """Whether a text is a phrase as `FieldWords` expects it."""
    words = text.split(" ")
    return (
        len(text) <= MAX_PHRASE
        and sum(map(str.isalpha, text)) > 1
        and all(words)
        and all(map(_is_word, words))
        and not _CASE_CHANGE.search(text)
        and not _has_too_many_words(text)
    )


def _has_too_many_words(text: str) -> bool:
    # The filter ends a word at a digit, too.
    return len(re.findall(r"[^ 0-9]+", text)) > MAX_WORDS


def _meant_by_words(text: str) -> str:
    # The text may be a name as programs write it: apiKey, api_key.
    words = re.sub(r"[\s._-]+", " ", _CASE_CHANGE.sub(" ", text)).strip().lower()
    if _has_too_many_words(words):
        return ", as no more words of a name are compared at once: write the words that tell it from others"
    return f", did you mean {words!r}?" if _is_words(words) else ""


def _meant_by_host(text: str) -> str:
    url = re.fullmatch(r"https?://([^/?#:]*)(:\d+)?/?", text)
    if url and is_dns_name(url[1]):
        return f", did you mean {url[1]!r}?"
    name = re.sub(r":\d*$", "", text).rstrip(".")
    if is_dns_name(name.removeprefix("*.")):
        return f", did you mean {name!r}? Neither a port nor a dot at the end counts"
    is_address = re.fullmatch(r"\[?[0-9a-f:.]*:[0-9a-f:.]*\]?(:\d+)?", text)
    return ": an IPv6 address cannot be selected, only '*' has its requests captured" if is_address else ""


def _is_word(text: str) -> bool:
    # Vowels of many scripts are marks of the letter before them.
    return all(character.isalnum() or unicodedata.category(character)[0] == "M" for character in text)


def _number(value: object) -> object:
    # `pulumi config set --path KEY 0.5` stores the text "0.5" (pulumi/pulumi#18064).
    if isinstance(value, str) and _NUMBER(value):
        value = json.loads(value)
    # Numbers that came through JSON or Pulumi's wire format may be floats.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _once_each(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


Whole = Annotated[int, BeforeValidator(_number)]
Number = Annotated[float, BeforeValidator(_number)]
SensorId = Annotated[
    str,
    Rule(
        "the sensor's UUID, such as 12345678-9abc-4def-8123-456789abcdef",
        _matches(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    ),
]
CollectorUrl = Annotated[
    str,
    Rule("a URL such as http://astra-traffic-collector.astra-collector.svc.cluster.local:4318", bool),
]
Namespace = Annotated[
    str, Rule("a namespace: at most 63 of a-z, 0-9 and '-', no '-' at an end", is_namespace)
]
ObjectName = Annotated[str, Rule("a Kubernetes name: at most 253 of a-z, 0-9, '-' and '.'", is_dns_name)]
WorkloadName = Annotated[
    str,
    Rule(
        f"a name: at most {MAX_WORKLOAD_NAME} of a-z, 0-9, '-' and '.'",
        _matches(_SUBDOMAIN, MAX_WORKLOAD_NAME),
    ),
]
LabelKey = Annotated[
    str,
    Rule(
        "a label key: at most 63 of A-Z, a-z, 0-9, '-', '_' and '.', after an optional DNS prefix and '/'",
        _is_label_key,
    ),
]
LabelValue = Annotated[
    str,
    Rule(
        "a label value, in quotes if it looks like a number or a date: at most 63 of A-Z, a-z, 0-9, '-', '_' "
        "and '.'",
        _matches(rf"({_QUALIFIED_NAME})?"),
    ),
]
NamespaceInput = Annotated[Input[str], OrOutput(Namespace)]
ObjectNameInput = Annotated[Input[str], OrOutput(ObjectName)]
PlainLabels = Annotated[dict[LabelKey, Annotated[Input[str], OrOutput(LabelValue)]], Field(strict=False)]
Labels = Annotated[Input[Mapping[str, Input[str]]], OrOutput(PlainLabels)]
# An Output cannot say "the whole namespace": whether it does decides about the filter's priority, and more.
SelectorLabels = Annotated[PlainLabels, Rule("at least one label", bool)]
ExportTo = Annotated[
    str,
    Rule("'*', '.' or a namespace", lambda text: text in {"*", "."} or re.fullmatch(_DNS_LABEL, text)),
]
DnsName = Annotated[str, Rule("a DNS name", is_dns_name), BeforeValidator(_lower)]
ProxyFile = Annotated[
    str, Rule("an absolute path in the proxy's container", _matches(r"/[^\x00-\x1f\x7f]+", limit=4096))
]
HeaderName = Annotated[
    str,
    Rule(
        "a header name, such as x-request-id ('*' stands for nothing here: each header that is to leave "
        "the proxy, or to be masked, is named)",
        lambda name: "*" not in name and _matches(_TOKEN, limit=128)(name),
    ),
    BeforeValidator(_lower),
]
HeaderNames = Annotated[list[HeaderName], Field(max_length=512), AfterValidator(_once_each)]
HostPattern = Annotated[
    str,
    Rule(
        "'*', a host name without a port, or '*.' and a domain",
        lambda text: text == "*" or is_dns_name(text.removeprefix("*.")),
        _meant_by_host,
    ),
    BeforeValidator(_lower),
]
Method = Annotated[str, Rule("an HTTP method in upper case, such as OPTIONS", _matches("[A-Z][A-Z-]*", 32))]
ContentType = Annotated[
    str,
    Rule(
        "type/subtype, type/* or type/*+suffix",
        _matches(rf"{_MEDIA_NAME}/({_MEDIA_NAME}|\*(\+{_MEDIA_NAME})?)", limit=128),
    ),
    BeforeValidator(_lower),
]
FieldWords = Annotated[
    str,
    Rule(
        "one to three words of any script with single spaces, such as 'api key': two letters or more, at "
        "most 128 characters",
        _is_words,
        _meant_by_words,
    ),
    AfterValidator(_lower),
]
PathPattern = Annotated[
    str,
    Rule(
        "a path that starts with '/' and has '*' at its end only", _matches(r"/[!-)+->@-~]*\*?", limit=1024)
    ),
]
ScopeName = Annotated[
    str, Rule("1 to 128 printable characters", lambda text: text.isprintable() and _matches(".+", 128)(text))
]
