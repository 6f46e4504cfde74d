"""What a hostile text costs: time that grows as its size does, and a few milliseconds for 64 KB in a cold VM.

The whole script runs, on the fake Envoy. A text is put into a header, a path or a body; what it costs is the
CPU time of an exchange with it, in this thread, in a VM that has seen one plain exchange and compiled nothing
else. Other processes can only make it slower, so a text that costs too much is measured up to `ROUNDS` times.
"""

import gc
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.settings.defaults import GUIDE_HEADERS
from lab.fuzz.shapes import FORMS, UNITS, Text
from lab.fuzz.yardstick import slowness
from tests.lua.fake_envoy import GET, OK, Headers, Proxy, render

SIZE = 65_536  # bytes
FOLD = 4
BAR = 0.020  # seconds for SIZE bytes, on a machine of its own
MAX_GROWTH = 6  # times the time for FOLD times the text; 16 times is what is quadratic
# Seconds; below, growth says nothing: whether LuaJIT compiles a loop or gives it up differs from VM to VM and
# makes the same text take 1.6 ms or 5.7. What is quadratic and takes less for SIZE bytes holds nobody up.
FLOOR = 0.010
ROUNDS = 5
HOPELESS = 0.2  # seconds, which no other round would mend
MAX_LINES = 100  # headers that Envoy takes in one message, by default

SCRIPT = render(headers=[*GUIDE_HEADERS, "x-api-key", "link", "refresh", "x-original-url"])


@dataclass(frozen=True)
class Slow:
    """A text that costs too much."""

    text: Text
    milliseconds: float
    growth: float  # nan: not measured


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


Exchange = Callable[[Proxy, str], None]


def cost(exchange: Exchange, text: str) -> float:
    """CPU seconds of an exchange in a new VM."""
    proxy = Proxy(SCRIPT)
    proxy.exchange()
    begun = time.thread_time()
    exchange(proxy, text)
    taken = time.thread_time() - begun
    assert proxy.errors == proxy.warnings == []
    assert len(proxy.calls) == 2, "the exchange was not exported"
    return taken


def too_slow(exchange: Exchange, text: Text) -> Slow | None:
    """What a text costs, if that is more than it may."""
    large = small = float("inf")
    for _ in range(ROUNDS):
        large = min(large, cost(exchange, text.of(SIZE)))
        if large < FLOOR:
            return None
        if large > HOPELESS:
            return Slow(text, round(large * 1000, 1), float("nan"))
        small = min(small, cost(exchange, text.of(SIZE // FOLD)))
        if large <= BAR * slowness() and large < MAX_GROWTH * small:
            return None
    return Slow(text, round(large * 1000, 1), round(large / small, 1))


def slow_ones(exchange: Exchange, texts: Iterable[Text]) -> list[Slow]:
    with no_garbage_collection():
        found = [too_slow(exchange, text) for text in texts]
    return sorted(filter(None, found), key=lambda slow: -slow.milliseconds)


# Places.


def in_header(text: str) -> str:
    """A text without the bytes that Envoy takes in no header."""
    return text.replace("\r", "").replace("\n", "").replace("\0", "")


def request_with(*lines: tuple[str, str]) -> Headers:
    """A request with these headers, instead of its own where they have their names."""
    names = {name for name, _ in lines}
    return [*(line for line in GET if line[0] not in names), *lines]


def request_header(name: str) -> Exchange:
    return lambda proxy, text: proxy.exchange(request_with((name, in_header(text))))


def response_header(name: str) -> Exchange:
    return lambda proxy, text: proxy.exchange(response=[*OK, (name, in_header(text))])


def in_lines(name: Callable[[int], str]) -> Exchange:
    """A text as the values of as many headers as Envoy takes."""

    def exchange(proxy: Proxy, text: str) -> None:
        text = in_header(text)
        size = len(text) // MAX_LINES + 1
        lines = [(name(at), text[at * size : (at + 1) * size]) for at in range(MAX_LINES)]
        proxy.exchange([*GET, *lines], [*OK, *lines])

    return exchange


def in_header_name(proxy: Proxy, text: str) -> None:
    proxy.exchange([*GET, (in_header(text).lower(), "x")], [*OK, (in_header(text).lower(), "x")])


def path(start: str) -> Exchange:
    return lambda proxy, text: proxy.exchange(request_with((":path", start + in_header(text))))


def request_body(declared: str) -> Exchange:
    return lambda proxy, text: proxy.exchange(
        [*GET, ("content-type", declared)], sent=[text.encode("latin-1")]
    )


def response_body(declared: str) -> Exchange:
    return lambda proxy, text: proxy.exchange(
        response=[*OK, ("content-type", declared)], answered=[text.encode("latin-1")]
    )


# Each header that the script looks at, those of each kind of mask, and one of those that pass as they are.
REQUEST_HEADERS = [
    *("authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "sec-websocket-protocol"),
    *("referer", "origin", "link", "refresh", "location", "content-location", "x-envoy-original-path"),
    *("x-original-url", ":authority", "x-forwarded-host", "forwarded", "x-forwarded-client-cert"),
    *("user-agent", "accept", "content-disposition", "if-none-match", "x-not-recorded"),
    *("content-type", "content-encoding", "x-forwarded-for", "x-envoy-peer-metadata-id", "x-real-ip"),
    *("x-envoy-external-address", "traceparent", "b3", "x-b3-traceid", "x-request-id", "x-forwarded-proto"),
    *(":method", ":scheme"),
]
RESPONSE_HEADERS = [
    *("set-cookie", "location", "content-location", "link", "refresh", "etag", "server", "authorization"),
    *("content-type", "content-encoding", "x-not-recorded"),
]
HEADER_PLACES: dict[str, Exchange] = {
    **{f"request {name}": request_header(name) for name in REQUEST_HEADERS},
    **{f"response {name}": response_header(name) for name in RESPONSE_HEADERS},
    **{
        f"{MAX_LINES} lines of {name}": in_lines(lambda _, name=name: name)  # type: ignore[misc]
        for name in ("cookie", "set-cookie", "x-forwarded-for", "referer", "accept", "x-not-recorded")
    },
    "as many recorded headers": in_lines(lambda at: GUIDE_HEADERS[at % len(GUIDE_HEADERS)]),
    "as many unknown headers": in_lines(lambda at: f"x-unknown-{at}"),
    "a header's name": in_header_name,
    "path": path("/"),
    "query": path("/a?"),
    "secret parameter": path("/a?token="),
}

# Every unit in a place of each kind; elsewhere every fourth, beginning with another one in each place.
THOROUGH = {"request authorization", "request cookie", "request set-cookie", "request referer", "query"}
SPARSE = 4


@pytest.mark.parametrize("place", HEADER_PLACES)
def test_time_grows_with_the_size_of_headers_and_paths(place: str) -> None:
    units = [unit for unit in UNITS if in_header(unit)]
    if place not in THOROUGH:
        units = units[list(HEADER_PLACES).index(place) % SPARSE :: SPARSE]
    assert slow_ones(HEADER_PLACES[place], [Text("", unit) for unit in units]) == []


@pytest.mark.parametrize(
    "value",
    [
        Text("a=b;path", ","),
        Text("a=b; path", ",="),
        Text("a=b", ";path,"),
        Text('a="b', ";path="),
        Text("--b", "id=id=id=%41%41X&"),
        Text("", "a=%41&" * 50 + 'pin%3D"x'),
        Text("Bearer", " "),
        Text("", "Basic "),
        Text("sidecar~", "a~"),
        Text("sidecar~a~", "a."),
        Text("sidecar~a~", "a", "~"),
    ],
    ids=lambda value: f"{value.start} {value.unit}",
)
def test_time_grows_with_the_size_of_values_made_for_one_header(value: Text) -> None:
    slow = {name: slow_ones(place, [value]) for name, place in HEADER_PLACES.items()}
    assert {name: found for name, found in slow.items() if found} == {}


THOROUGH_FORMS = {"text", "json string", "xml", "form", "part", "object of names", "value in markup"}


@pytest.mark.parametrize("form", FORMS)
def test_time_grows_with_the_size_of_bodies(form: str) -> None:
    start, declared = FORMS[form]
    units = UNITS if form in THOROUGH_FORMS else UNITS[list(FORMS).index(form) % SPARSE :: SPARSE]
    assert slow_ones(request_body(declared), [Text(start, unit) for unit in units]) == []


# Each word by which a name may tell another.
TELLING = [
    "name",
    "key",
    "id",
    "names",
    "keys",
    "columns",
    "fields",
    "headers",
    "path",
    "loc",
    "type",
    "kind",
    "label",
    "title",
    "k",
    "var",
]

# Secrets of several forms, and an escape.
MANY_SECRETS = '4242 4242 4242 242pin:1,"v=1&$"%22":<pas\N{NUMERO SIGN}>,"name":"'

# What is found once and looked at again for each that follows: a long name around, a long run before.
LONG = [
    Text("<", "<a>", half="x", middle="_card>"),
    Text("<", "value=1 ", ">", half="x", middle=" "),
    Text("<" + "aB" * 100 + " ", "value=1 ", ">"),
    Text("<" + "aB" * 60 + "_card>", "<a>"),
    Text("<" + "aB" * 60 + "_card>", "<a\N{NUMERO SIGN}>"),
    # Names and values in turn: each value asks which name was told before, each name reads what may be told.
    Text("", "k:,", " v:1"),
    Text("", "k:a,", " v:1"),
    Text("", "k=\\\\", "&v=1"),
    Text("<a ", "k=\\\\", ">"),
    Text("name=pin&", "v=1&"),
    Text("".join(f"{word}=pin&" for word in TELLING), "v=1&"),
    # As many secrets as there is room for, and an escape that has all of them searched again.
    Text("", "pin=b&", "%41"),
    Text("", "\N{NUMERO SIGN}", "%41"),
    Text("", "pin=b&", "%41pin%3Dx"),
    Text("", '"pin":"b",', "%41pin%3Dx"),
    # Elements whose names are hardly any.
    Text("", "<<<<<<[\\", "%41"),
    # Objects that do not end around that: each is read to the end of the text.
    Text("name=pin&" + '"card":{' * 8, MANY_SECRETS),
    Text("name=pin&", MANY_SECRETS, half='"card":{'),
    Text(
        "<card>",
        'a_%2"name":"pas\N{NUMERO SIGN}","value":1,"name":"pas\N{NUMERO SIGN}",'
        '"vale":1,<a b="a\N{NUMERO SIGN}=b&name="card":{"card":{"name":"pin",password=%?a=&#61;',
        half="</",
        middle='pin:1,"',
    ),
    Text("", "</pin:>", "1"),
    Text("<card>", "<a>"),
    Text("<card><a ", "<a/ "),
    Text('{"', '"a":1,', half="x", middle='_card":{'),
    Text("", "pin_a_", "x:1"),
    Text("", "aB", ":1"),
    Text("", "pin=1&", half="x", middle="[card]["),
    Text("", "</value>", half="<value>"),
    Text("", '"a":1,', half='{"card":', middle="{"),
    Text('{"card":{', ":"),
    Text("", '&a=pin:b&a="%22":'),
    Text('{"name":"password",', '"value":1,', half='"value":[', middle='"'),
    Text("--", "\n--xx", half="x", middle='\nContent-Disposition: form-data; name="a"\n'),
    Text("", ".eyJ", half="e"),
    Text("", "-----END ", half="-----BEGIN PRIVATE KEY-----"),
    Text("", '":', half="\\"),
    Text('"', '":1,"', half=" "),
    Text("", "4242 ", half="0"),
    Text("", "444 "),
    Text("", "4 4-", half="4-"),
    Text("", "42424242 42424242-"),
    Text('[["pin","x",', "t"),
    Text("", '[["pin","x",t'),
    Text("Bearer", "\t"),
    Text("", "Bearer+a", half="Bearer+a1"),
    Text("", "Bearer\\t"),
    Text("k.com/services/T1/B", "1"),
    Text("", "k.com/services/T1/B1/", half="k.com/services/T"),
    Text("", "name=pas&value=x ", half="name=", middle="%26"),
    Text("", "#%2525aBaaa.eyJpas\N{NUMERO SIGN}:event: a\ndata: "),
    # Thousands of secrets, each under a name of its own.
    Text("", "pin\N{NUMERO SIGN}=b&"),
    Text("", '"pin\N{NUMERO SIGN}":"b",'),
    Text("%3Cpin%3E", 'key=%42 pin&\N{NUMERO SIGN}>{":b}\n\n--'),
    # What is searched again and again to find what escapes hide: in the last run, and in the middle.
    Text("--b", "a=1;id=" * 35 + "%41&", 'pin%3D"x"'),
    Text("", "a\N{NUMERO SIGN}=b;", '%41pin%3D"x"'),
    Text("", "a\N{NUMERO SIGN}=b;", '%41pin%3D"x"', half="%41pin%3Dx&"),
    Text("", "name%3Dpassword&value%3Dx&"),
    # Lists that may tell names, and are not closed; values of text that stop nowhere.
    Text("", '"k":["a",', '"v":1'),
    Text("<a>", "pin:</b><i "),
    Text("", "<k", "<v"),
    Text("<a>", "pin:</b>"),
    Text("<a>", "pin:</b><b>"),
    Text("<a>", "</b>pin:</b><b><b>"),
    Text("<a>", "pin:</b <<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<"),
    # Names that no cache knows, read as members, as parameters and as parts.
    Text("", "--id=\N{NUMERO SIGN}\n%41&", 'pin%3D"x"'),
    Text("%3Cpin%3E", 'key=%42 pin&\N{NUMERO SIGN}>{":b}\n\n--'),
    Text("<'", 'n&gt;--b; name=x;[card number: }<pa\N{NUMERO SIGN}>&t;pin&g<pas>t;%{":"b=cd"},{"a":"b=c;d"}'),
]


@pytest.mark.parametrize("start", ["", '{"a":"', "<a>"])
def test_time_grows_with_the_size_of_what_stands_before_the_rest(start: str) -> None:
    texts = [text._replace(start=start + text.start) for text in LONG]
    assert slow_ones(request_body("text/plain"), texts) == []


def test_time_grows_with_the_size_of_a_response_body() -> None:
    for start, declared in FORMS.values():
        assert slow_ones(response_body(declared), [Text(start, unit) for unit in UNITS[::7]]) == []


SIGNS = "aZ9\"'\\:;=,&?#<>/[]{}()%.-_*@$! \n"
seeds = st.lists(st.sampled_from([*UNITS, *SIGNS]), min_size=1, max_size=5).map("".join)
halves = st.sampled_from(["", "", "x", " ", "\\", "a_", "pin_", "aB", "<value>", '"card":{', "9", "%"])
ends = st.sampled_from(["", "x", '"', '"}', "=", ">", "&", "\n", "%", "\\", "@h", "--b--", ":"])


@settings(deadline=None, max_examples=60, derandomize=True)  # `make fuzz` searches for more
@given(form=st.sampled_from(list(FORMS)), half=halves, middle=seeds | st.just(""), unit=seeds, end=ends)
def test_time_grows_with_the_size_of_any_body(form: str, half: str, middle: str, unit: str, end: str) -> None:
    start, declared = FORMS[form]
    assert slow_ones(request_body(declared), [Text(start, unit, end, half, middle)]) == []


@settings(deadline=None, max_examples=60, derandomize=True)  # `make fuzz` searches for more
@given(place=st.sampled_from(list(HEADER_PLACES)), lead=seeds | st.just(""), unit=seeds, end=ends)
def test_time_grows_with_the_size_of_any_header(place: str, lead: str, unit: str, end: str) -> None:
    if in_header(unit):
        text = Text(in_header(lead), in_header(unit), in_header(end))
        assert slow_ones(HEADER_PLACES[place], [text]) == []
