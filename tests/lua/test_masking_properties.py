"""Generated documents of every form: no secret planted in one leaves, and one without secrets is kept.

A secret is known by its name (``{"password": "..."}``) or by itself (a JWT, a private key, a card number, a
key with a well-known prefix). A document of some form is built around it. Documents of other forms may hold
that one as a value, escaped as their form wants it. The outermost may be mangled, and cut. The whole script
runs, on the fake Envoy.
"""

import base64
import html
import json
import random
import re
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from os.path import commonprefix
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.leaks import Leaks
from tests.lua.fake_envoy import GET, OK, Proxy, render

SCRIPT = render()
EXAMPLES = settings(deadline=None, max_examples=100)

BASE64URL = string.ascii_letters + string.digits + "-_"
ALPHANUMERIC = string.ascii_letters + string.digits


# Secrets.


@dataclass(frozen=True)
class Secret:
    """A value that must not leave.

    Attributes:
        text: as it is written.
        parts: the parts of the text that must not leave.
        names: the names under which it is planted; empty where any name will do.
    """

    text: str
    parts: tuple[str, ...]
    names: tuple[str, ...] = ()

    @property
    def leaks(self) -> Leaks:
        return Leaks(*self.parts)


SECRET_NAMES = (
    *(
        "password",
        "userPassword",
        "API-Key",
        "x.access_token",
        "PIN",
        "client secret",
        "new_passwd",
        "apikey",
    ),
    *("appsecret", "usertoken", "corpsecret", "auth", "ticket", "pan", "privkey", "pw", "psw", "consumerKey"),
    *(
        "recovery_code",
        "backupCode",
        "verification-code",
        "mnemonic",
        "app_key",
        "hmac",
        "social security number",
    ),
    *("creditCard", "card_num", "two factor code", "密码", "пароль", "senha", "passwort", "contraseña"),
    *(
        "refreshToken2",
        "dbpassword",
        "X-Amz-Signature",
        "client_assertion",
        "SAMLResponse",
        "otp",
        "ssn",
        "cvv",
    ),
)
HARMLESS_NAMES = (
    *("id", "data", "memo", "note", "value", "refresh", "comment", "x", "details", "reference", "body", "a1"),
)


def generated(alphabet: str, size: int, seed: int) -> str:
    """Random letters, so that no part of a secret happens to be a word of the document."""
    source = random.Random(seed)  # noqa: S311
    return "".join(source.choice(alphabet) for _ in range(size))


seeds = st.integers(0, 2**32)


@st.composite
def named(draw: st.DrawFn) -> Secret:
    text = draw(
        st.sampled_from(
            ["Zq8xW4kP9vB2nL6tRy3", "hunter2-Q", "correct horse battery", "Str0ng!", "n0t/s0/s@fe+"]
        )
        | st.builds(generated, st.just(ALPHANUMERIC), st.integers(8, 40), seeds)
    )
    return Secret(text, (text,), (draw(st.sampled_from(SECRET_NAMES)),))


@st.composite
def jwts(draw: st.DrawFn) -> Secret:
    def part(content: object) -> str:
        return (
            base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")
        )

    seed = draw(seeds)
    header = part({"alg": draw(st.sampled_from(["HS256", "RS256", "none"])), "typ": "JWT"})
    payload = part({"sub": generated(ALPHANUMERIC, draw(st.integers(8, 30)), seed), "iat": 1764239744})
    signature = generated(BASE64URL, draw(st.sampled_from([43, 86])), seed + 1)
    # Both parts start like JSON: only what follows {"sub":" is the payload's own.
    return Secret(f"{header}.{payload}.{signature}", (payload[12:], signature))


@st.composite
def private_keys(draw: st.DrawFn) -> Secret:
    kind = draw(st.sampled_from(["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA "]))
    content = generated(ALPHANUMERIC + "+/", draw(st.integers(100, 200)), draw(seeds))
    lines = "\n".join(content[at : at + 64] for at in range(0, len(content), 64))
    text = f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----\n"
    return Secret(text, (content,))


def luhn_digit(digits: str) -> str:
    """The check digit after some digits."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if at % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def is_card(digits: str) -> bool:
    return 13 <= len(digits) <= 19 and luhn_digit(digits[:-1]) == digits[-1]


CARDS = [
    ("4", 16),
    ("51", 16),
    ("2223", 16),
    ("6011", 16),
    ("34", 15),
    ("37", 15),
    ("35", 16),
    ("36", 14),
    ("62", 19),
]


@st.composite
def cards(draw: st.DrawFn) -> Secret:
    start, size = draw(st.sampled_from(CARDS))
    digits = start + generated(string.digits, size - len(start) - 1, draw(seeds))
    digits += luhn_digit(digits)
    groups = [4, 6, 5] if size == 15 else [4, 6, 4] if size == 14 else [4, 4, 4, 4, 3]
    if size > 15 and draw(st.booleans()):
        groups = [*draw(st.lists(st.integers(1, 13), max_size=18)), size]  # the rest in the last one
    separator = draw(st.sampled_from(["", "", " ", "-"]))
    parts, at = [], 0
    for group in groups:
        parts.append(digits[at : at + group])
        at += group
    text = separator.join(part for part in parts if part)
    return Secret(text, (digits, text, text.replace(" ", "+")))


KEYS = [
    ("AKIA", string.ascii_uppercase + "234567", 16),
    ("ASIA", string.ascii_uppercase + "234567", 16),
    ("ghp_", ALPHANUMERIC, 36),
    ("gho_", ALPHANUMERIC, 36),
    ("ghs_", ALPHANUMERIC, 36),
    ("github_pat_11ABCDEFG0abcdefghijkl_", ALPHANUMERIC, 59),
    ("glpat-", BASE64URL, 20),
    ("xoxb-123456789012-1234567890123-", ALPHANUMERIC, 24),
    ("xoxp-123456789012-1234567890123-", ALPHANUMERIC, 32),
    ("sk_live_", ALPHANUMERIC, 24),
    ("rk_live_", ALPHANUMERIC, 24),
    ("AIza", BASE64URL, 35),
    ("ya29.", BASE64URL, 68),
    ("sk-", ALPHANUMERIC, 48),
    ("sk-proj-", BASE64URL, 64),
    ("npm_", ALPHANUMERIC, 36),
    ("gsk_", ALPHANUMERIC, 52),
    ("nvapi-", BASE64URL, 64),
    ("ATATT3xFfGF0", BASE64URL, 180),
    ("pypi-AgEIcHlwaS5vcmc", BASE64URL, 70),
]


@st.composite
def keys(draw: st.DrawFn) -> Secret:
    prefix, alphabet, size = draw(st.sampled_from(KEYS))
    # A first and a last letter, as a dash there would belong to the text around it.
    rest = "a" + generated(alphabet, size - 2, draw(seeds)) + "z"
    rest = rest.upper() if prefix in {"AKIA", "ASIA"} else rest
    return Secret(prefix + rest, (rest,))


# Documents.


def multipart(name: str, content: str) -> str:
    lines = (
        *("--b0", 'Content-Disposition: form-data; name="user"', "", "jane"),
        *("--b0", f'Content-Disposition: form-data; name="{name}"', "", content),
        *("--b0", 'Content-Disposition: form-data; name="last"', "", "end", "--b0--", ""),
    )
    return "\r\n".join(lines)


def camel(name: str) -> str:
    """A name as GraphQL takes it."""
    words = re.sub(r"\W+", " ", name).split()
    return words[0] + "".join(word.capitalize() for word in words[1:])


def element(name: str) -> str:
    """A name as XML takes it."""
    return re.sub(r"[^\w.-]", "_", name)


# By form: a text that holds a value under a name.
HOLDERS: dict[str, Callable[[str, str], str]] = {
    "json": lambda name, value: json.dumps({"user": "jane", name: value, "page": 1}),
    "unescaped json": lambda name, value: json.dumps({"a": [{"b": 1, name: value}]}, ensure_ascii=False),
    "compact json": lambda name, value: json.dumps([{name: value}, {name: value}], separators=(",", ":")),
    "json in lines": lambda name, value: f'{{"id":1}}\n{json.dumps({name: value})}\n{{"id":2}}\n',
    "spread json": lambda name, value: json.dumps({"a": {"b": {name: value}}}, indent=2),
    "list": lambda name, value: json.dumps({name: [value, value], "b": 2}),
    "deep": lambda name, value: json.dumps({name: {"x": [{"y": value}]}, "b": 2}),
    "pair": lambda name, value: json.dumps([{"name": name, "value": value}, {"name": "a", "value": "b"}]),
    "aws pair": lambda name, value: json.dumps({"ParameterKey": name, "ParameterValue": value}),
    "value first": lambda name, value: json.dumps({"value": value, "type": "text", "key": name}),
    "values": lambda name, value: json.dumps({"name": name, "values": [value, value]}),
    "form": lambda name, value: f"user=jane&{quote_plus(name)}={quote_plus(value)}&page=1",
    "escaped form": lambda name, value: f"a=1&{quote(name)}={''.join(f'%{c:02x}' for c in value.encode())}",
    "form in brackets": lambda name, value: f"user[{quote(name)}]={quote(value)}&user[id]=1",
    "xml": lambda name, value: (
        f"<r><user>jane</user><{element(name)}>{html.escape(value)}</{element(name)}></r>"
    ),
    "xml with namespace": lambda name, value: (
        f'<s:E xmlns:s="u"><s:{element(name)} s:t="x">{html.escape(value)}</s:{element(name)}></s:E>'
    ),
    "cdata": lambda name, value: f"<r><{element(name)}><![CDATA[{value}]]></{element(name)}></r>",
    "attribute": lambda name, value: f'<r user="jane" {element(name)}="{html.escape(value)}" page="1"/>',
    "xml pair": lambda name, value: (
        f"<r><name>{html.escape(name)}</name><value>{html.escape(value)}</value></r>"
    ),
    "html": lambda name, value: (
        f'<form><input name="{html.escape(name)}" value="{html.escape(value)}"></form>'
    ),
    "multipart": multipart,
    "graphql": lambda name, value: json.dumps(
        {"query": f'mutation{{login(user:"jane", {camel(name)}: {json.dumps(value)}){{id}}}} query b{{a}}'}
    ),
    "graphql variables": lambda name, value: json.dumps(
        {"query": "mutation M($i: In!){m(i: $i){id}}", "variables": {"i": {camel(name): value}}}
    ),
    "yaml": lambda name, value: f"user: jane\n{name}: {json.dumps(value, ensure_ascii=False)}\npage: 1\n",
    "nested yaml": lambda name, value: f"a:\n  {name}:\n    x: 1\n    y: {json.dumps(value)}\n  page: 1\n",
}
# Not of XML or GraphQL, where names have no white space.
VALUE_HOLDERS = {
    **HOLDERS,
    "text": lambda _, value: f"thanks: {value} is it",
    "plain": lambda _, value: value,
}

# By form: a document that holds a text, escaped as it has to be.
AROUND: dict[str, Callable[[str], str]] = {
    "json": lambda text: json.dumps({"a": 1, "note": text, "z": "end"}),
    "unescaped json": lambda text: json.dumps(["x", {"note": text}], ensure_ascii=False, indent=1),
    "form": lambda text: f"a=1&data={quote_plus(text)}&z=2",
    "query": lambda text: f"https://h.example.com/p?a=1&next={quote(text, safe='')}#z",
    "xml": lambda text: f'<?xml version="1.0"?>\n<r><a>1</a><note>{html.escape(text)}</note></r>',
    "attribute": lambda text: f'<r a="1" note="{html.escape(text)}"><b/></r>',
    "multipart": lambda text: multipart("note", text),
    "variables": lambda text: json.dumps({"query": "{a}", "variables": {"note": text}}),
    "script": lambda text: f"<html><script>var a = {json.dumps(text)};</script><p>end</p></html>",
}

DECLARED = [
    *(
        "",
        "text/plain",
        "application/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "text/html",
    ),
    *("multipart/form-data; boundary=b0", "application/octet-stream", "image/png", "application/graphql"),
]


def quoted_otherwise(text: str) -> str:
    return text.replace('"', "'")


MANGLES: dict[str, Callable[[str], str]] = {
    "not at all": lambda text: text,
    "after a byte order mark": lambda text: "\ufeff" + text,
    "after white space": lambda text: " \r\n\t" + text,
    "with other quotes": quoted_otherwise,
    "with more space": lambda text: re.sub(r'(?<=["\w])([:=])(?=["\d])', r" \1 ", text),
    "twice": lambda text: f"{text}\n{text}" if text[-1:].isdigit() else text + text,
    "in brackets": lambda text: f"[[{text}]]",
    "after open braces": lambda text: "{{{" + text,
    "after a form": lambda text: "a=1&b=2&" + text,
    "after a quote": lambda text: '"' + text,
    "in a call": lambda text: f"callback({text});",
    "after a prefix": lambda text: f")]}}',\n{text}",
    "as an event": lambda text: f"event: a\ndata: {text}\n\n",
    "after a comment": lambda text: f"// a comment\n{text}",
    "after a broken character": lambda text: "\udcff" + text,
}
# What breaks a value in two, or hides that one starts, is not tried on what is known by itself.
SAFE_FOR_VALUES = [
    name for name in MANGLES if name not in {"with more space", "in a call", "after open braces"}
]


@st.composite
def documents(
    draw: st.DrawFn, secrets: st.SearchStrategy[Secret], *, can_cut: bool = True
) -> tuple[Secret, str, list[str]]:
    """A secret, a document that holds it, and how it was made."""
    secret = draw(secrets)
    holder = draw(st.sampled_from(list(HOLDERS if secret.names else VALUE_HOLDERS)))
    name = draw(st.sampled_from(secret.names or HARMLESS_NAMES))
    text = VALUE_HOLDERS[holder](name, secret.text)
    around = draw(st.lists(st.sampled_from(list(AROUND)), max_size=2))
    for form in around:
        text = AROUND[form](text)
    mangle = draw(st.sampled_from(list(MANGLES) if secret.names else SAFE_FOR_VALUES))
    text = MANGLES[mangle](text)
    if can_cut and holder != "value first" and draw(st.booleans()):
        text = text[: draw(st.integers(0, len(text)))]
    return secret, text, [holder, *around, mangle]


# What leaves.


def shown(body: str = "", declared: str = "", path: str = "/", **headers: str) -> list[str]:
    """All texts of the span of an exchange, whose request and response are alike."""
    proxy = Proxy(SCRIPT)
    content = body.encode("utf-8", "surrogateescape")
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    lines += [("content-type", declared)] if declared else []
    request = [line for line in GET if line[0] != ":path"]
    proxy.exchange(
        [*request, (":path", path), *lines],
        [*OK, *lines],
        sent=[content] if content else [],
        answered=[content] if content else [],
    )
    assert proxy.errors == proxy.warnings == []
    return [text for text in proxy.span.attributes.values() if isinstance(text, str)]


def leaking(secret: Secret, texts: list[str]) -> list[str]:
    return [text for text in texts if secret.leaks.within(text)]


KINDS = {"named": named(), "jwt": jwts(), "private key": private_keys(), "card": cards(), "key": keys()}
# Not card numbers and keys: what is left of one that is cut off cannot be told from other text.
CUT = {"named", "jwt", "private key"}


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_of_a_body_leaves(kind: str) -> None:
    @EXAMPLES
    @given(documents(KINDS[kind], can_cut=kind in CUT), st.sampled_from(DECLARED))
    def check(document: tuple[Secret, str, list[str]], declared: str) -> None:
        secret, text, _ = document
        assert leaking(secret, shown(text, declared)) == []

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_a_masked_body_is_masked_no_further(kind: str) -> None:
    # The forms of a text are masked one after the other.
    @EXAMPLES
    @given(documents(KINDS[kind]))
    def check(document: tuple[Secret, str, list[str]]) -> None:
        proxy = Proxy(SCRIPT)
        proxy.exchange(sent=[document[1].encode("utf-8", "surrogateescape")])
        masked = proxy.span["http.request.body"]
        proxy.exchange(sent=[masked.encode()])
        assert proxy.spans[-1]["http.request.body"] == masked

    check()


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


@EXAMPLES
@given(
    named(),
    st.sampled_from(sorted(HOLDERS.keys() - {"html"})),
    # Not in an attribute: where one names a secret, even one that is escaped, its tag goes.
    st.sampled_from(["", *sorted(AROUND.keys() - {"attribute"})]),
    st.sampled_from(DECLARED),
)
def test_what_stands_before_a_secret_is_kept(secret: Secret, holder: str, around: str, declared: str) -> None:
    text, other = HOLDERS[holder](secret.names[0], secret.text), HOLDERS[holder]("Z", "~")
    if around:  # what is escaped may go with the secret, in one run
        text, other = AROUND[around](text), AROUND[around]("~")
    before = squeezed(commonprefix([text, other])).rstrip("\"'=:<\\&;")  # noqa: RUF071 - of characters
    proxy = Proxy(SCRIPT)
    proxy.exchange([*GET, *([("content-type", declared)] if declared else [])], sent=[text.encode()])
    assert squeezed(proxy.span["http.request.body"]).startswith(before)


def in_path(text: str) -> str:
    """A text as it can stand in a path."""
    return quote(text, safe="/?&=;:@!$'()*+,[]{}\"<>\\|^`%~")


PLACES: dict[str, Callable[[str, str], str]] = {
    "segment": lambda _, value: f"/reset/{quote(value, safe='')}/x",
    "last segment": lambda _, value: f"/reset/{quote(value, safe='')}",
    "parameter": lambda name, value: f"/a?x=1&{quote(name)}={quote(value, safe='')}&z=1",
    "plus parameter": lambda name, value: f"/a?{quote_plus(name)}={quote_plus(value)}",
    "matrix parameter": lambda name, value: f"/a;{quote(name)}={quote(value, safe='')}/b?x=1",
    "nested url": lambda name, value: f"/a?next={quote(f'https://h/p?{name}={value}&z=1', safe='')}",
    "nested json": lambda name, value: f"/a?q={quote(json.dumps({name: value}), safe='')}",
    "raw json": lambda name, value: in_path(f"/a?{json.dumps({name: value})}&z=1"),
}
NEEDS_NAME = {"segment", "last segment"}


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_of_a_url_leaves(kind: str) -> None:
    places = [place for place in PLACES if kind != "named" or place not in NEEDS_NAME]

    @EXAMPLES
    @given(KINDS[kind], st.sampled_from(places), st.sampled_from(HARMLESS_NAMES))
    def check(secret: Secret, place: str, harmless: str) -> None:
        [name] = secret.names or (harmless,)
        url = PLACES[place](name, secret.text)
        texts = shown(path=url, referer=f"https://h{url}", location=url, x_envoy_original_path=url)
        assert leaking(secret, texts) == []

    check()


HEADERS = [
    "user-agent",
    "via",
    "etag",
    "warning",
    "origin",
    "accept",
    "forwarded",
    "content-disposition",
    "server",
]


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_of_a_header_leaves(kind: str) -> None:
    @EXAMPLES
    @given(
        KINDS[kind],
        st.sampled_from(HEADERS),
        st.sampled_from(HARMLESS_NAMES),
        st.sampled_from(["=", ": ", '="']),
    )
    def check(secret: Secret, header: str, harmless: str, sign: str) -> None:
        text = secret.text.replace("\n", "")
        name = camel(secret.names[0] if secret.names else harmless)
        end = '"' if sign == '="' else ""
        values = [f"app/1.0 ({name}{sign}{text}{end})", f"{name}{sign}{text}{end}"]
        values += [text, f"x {text}"] if not secret.names else []
        for value in values:
            assert leaking(replace(secret, text=text), shown(**{header.replace("-", "_"): value})) == [], (
                value
            )

    check()


# Documents without secrets.

# fmt: off
WORDS = [
    "order", "tea", "lamp", "shipping", "address", "compass", "bypass", "timespan", "span", "japan", "spin",
    "obsession", "author", "authority", "passenger", "keyboard", "monkey", "turkey", "tokenizer", "pinned",
    "mapping", "design", "signal", "sidebar", "company", "keywords", "hotpot", "secretary", "price",
    "amount", "currency", "status", "created", "updated", "description", "customer", "email", "phone",
    "city", "country", "quantity", "sku", "title", "rating", "latitude", "longitude", "page", "size",
    "total", "count", "offset", "limit", "sort", "filter", "language", "timezone", "version", "region",
    "enabled",
]
# fmt: on
# What has a default of redaction.keepFields: counts and pages.
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "max_tokens", "promptTokens", "maxTokens")
KEPT = {
    **dict.fromkeys(COUNTS, st.integers(0, 200_000)),
    "nextPageToken": st.sampled_from(["abc", "CAUQAA", "eyJvZmZzZXQiOjEwfQ"]),
    "token_type": st.sampled_from(["Bearer", "bearer"]),
}
# Words of which two make a secret name, apart: card number, api key, access token, private key, pin code.
APART = [
    {"card": {"type": "visa", "brand": "x"}},
    {"api": {"version": 2}},
    {"access": {"level": 1}},
    {"private": {"notes": "x"}},
    {"phone": {"number": "+49 30 901820"}},
    {"postal": {"code": "10115"}},
    {"client": {"name": "x"}},
    {"security": {"level": "high"}},
    {"encryption": {"enabled": True}},
    {"account": {"number": 17}},
    {"name": "jane", "value": "kept"},
    {"key": "color", "value": "red"},
    {"op": "replace", "path": "/title", "value": "x"},
]
TEXTS = [
    "Thanks for your order, it ships on Monday.",
    "a<b and c>d, or a < b & c",
    "Total: 12.50 EUR (incl. 19% VAT)",
    "call back at 10:30, or mail to jane@example.com",
    "The pin is mightier; keep a secret, or lose a token of love.",
    "I forgot my password yesterday",
    "https://token.example.com:8443/x?page=2#top",
    "C:\\Users\\jane\\file.txt",
    'she said "hi" & left',
    "10 20 30 40 50 60 70 80",
    "2026-11-27 2026-11-28 2026-11-29",
    "M10 20 L30 40.5 L50 60 Z",
    "grüße 東京 😀",
    "100% of 50%",
    "a=b=c",
    "x := y; z == 1 ? a : b",
    "-----",
    "#1 / 2 @ home",
    "+1 415-555-0132",
    "ISBN 978-3-16-148410-0",
    "SGVsbG8sIHdvcmxkIQ==",
    "eyJ is how base64 of JSON begins",
    "AKIA is a prefix, so is ghp_ and sk_live_",
]
moments = st.integers(0, 10**9).map(
    lambda seconds: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
epochs = st.builds(
    lambda moment, unit: int(moment.timestamp() * unit), moments, st.sampled_from([1, 10**3, 10**6, 10**9])
)
# UUIDs of many digits: a card number needs no more.
uuids = st.builds(lambda seed: str(uuid.UUID(generated(string.digits * 4 + "abcdef", 32, seed))), seeds)
numbers = (
    st.integers(-(10**12), 10**12)
    | st.floats(-180, 180)
    | st.floats(0, 1)
    | epochs
    | st.integers(0, 10**6).map(lambda cents: cents / 100)
)
plain_texts = (
    st.sampled_from(TEXTS)
    | moments.map(lambda moment: moment.isoformat())
    | moments.map(lambda moment: moment.strftime("%Y-%m-%d"))
    | uuids
    | st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
    | st.builds(lambda seed: generated("0123456789abcdef", 40, seed), seeds)
    | numbers.map(str)
)
plain_names = st.sampled_from(WORDS) | st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)).map(
    lambda words: words[0] + words[1].capitalize()
)
plain_values = st.none() | st.booleans() | numbers | plain_texts
kept_fields = st.sampled_from(sorted(KEPT)).flatmap(lambda name: KEPT[name].map(lambda value: {name: value}))
plain_json = st.recursive(
    st.dictionaries(plain_names, plain_values, max_size=4) | kept_fields | st.sampled_from(APART),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(plain_names, inner | plain_values, max_size=3)
    ),
    max_leaves=6,
)
GRAPHQL = [
    "query P($first: Int!, $after: String){products(first: $first, after: $after){edges{node{id}}}}",
    'mutation{addItem(sku: "A-1", quantity: 2){id total}} query b{a}',
    "fragment F on Product @include(if: true) { id author { company } }",
]


def as_form(members: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in members)


def as_xml(members: list[tuple[str, str]]) -> str:
    inner = "".join(f"<{name}>{html.escape(value)}</{name}>" for name, value in members)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<r xmlns:x="urn:x" id="7">{inner}<!-- end --></r>'


def as_attributes(members: list[tuple[str, str]]) -> str:
    return "<r " + " ".join(f'a-{name}="{html.escape(value)}"' for name, value in members) + "/>"


def as_html(members: list[tuple[str, str]]) -> str:
    fields = "".join(f'<input name="{name}" value="{html.escape(value)}">' for name, value in members)
    return f"<!doctype html><html><body><form>{fields}</form><p>a &lt; b &amp;&amp; c</p></body></html>"


def as_multipart(members: list[tuple[str, str]]) -> str:
    parts = (
        f'--b0\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in members
    )
    return "".join(parts) + "--b0--\r\n"


def as_yaml(members: list[tuple[str, str]]) -> str:
    return "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in members)


def as_pairs(members: list[tuple[str, str]]) -> str:
    return json.dumps([{"name": name, "value": value} for name, value in members])


members = st.lists(st.tuples(plain_names, plain_texts), max_size=5)
plain_documents = (
    st.builds(
        lambda value, indent, ascii_only: json.dumps(value, indent=indent, ensure_ascii=ascii_only),
        plain_json,
        st.sampled_from([None, 1, "\t"]),
        st.booleans(),
    )
    | st.builds(lambda value: json.dumps(value, separators=(",", ":")), plain_json)
    | st.lists(plain_json, max_size=3).map(
        lambda values: "".join(json.dumps(value) + "\n" for value in values)
    )
    | st.builds(lambda form, content: form(content), st.sampled_from([as_form, as_xml, as_html]), members)
    | st.builds(
        lambda form, content: form(content),
        st.sampled_from([as_attributes, as_multipart, as_yaml, as_pairs]),
        members,
    )
    | st.builds(
        lambda text, values: json.dumps({"query": text, "variables": values}),
        st.sampled_from(GRAPHQL),
        plain_json,
    )
    | st.sampled_from([*GRAPHQL, *TEXTS])
    | plain_texts
)


def has_card(text: str) -> bool:
    """Whether a text has digits in a row that could be a card's number, and so have to be masked."""
    return any(
        is_card(run) and run[0] in "23456789" and run[:2] != "20"
        for run in re.findall(r"(?<![.\w-])\d+(?![.\w-])", text)
    )


harmless = plain_documents.filter(lambda text: not has_card(text))


@EXAMPLES
@given(harmless, st.lists(st.sampled_from(list(AROUND)), max_size=1), st.sampled_from(DECLARED))
@example('{"usage":{"prompt_tokens":5}}', [], "application/json")
@example('{"nextPageToken":"abc"}', [], "application/json")
@example("https://token.example.com:8443/x", [], "text/plain")
def test_a_body_without_secrets_leaves_as_it_came(text: str, around: list[str], declared: str) -> None:
    for form in around:
        text = AROUND[form](text)
    proxy = Proxy(SCRIPT)
    lines = [("content-type", declared)] if declared else []
    proxy.exchange([*GET, *lines], [*OK, *lines], sent=[text.encode()], answered=[text.encode()])
    assert proxy.span["http.request.body"] == text
    assert proxy.span["http.response.body"] == text


@EXAMPLES
@given(
    members.filter(lambda found: not has_card(as_form(found))),
    st.lists(st.sampled_from(WORDS), max_size=4),
    uuids,
)
def test_a_url_without_secrets_leaves_as_it_came(
    parameters: list[tuple[str, str]], segments: list[str], number: str
) -> None:
    url = f"/{'/'.join(segments)}/{number}?{as_form(parameters)}"
    proxy = Proxy(SCRIPT)
    request = [line for line in GET if line[0] != ":path"]
    proxy.exchange(
        [*request, (":path", url), ("referer", f"https://h.example.com:8443{url}")], [*OK, ("location", url)]
    )
    assert proxy.span["http.target"] == url
    assert proxy.span.headers("request")["referer"] == f"https://h.example.com:8443{url}"
    assert proxy.span.headers("response")["location"] == url


HEADER_VALUES = {
    "user-agent": [
        "Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0",
        "curl/8.7.1",
        "okhttp/4.12.0 (build:2026112701; id=42)",
        "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120",
    ],
    "accept": ["text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "application/json; version=2"],
    "accept-language": ["de-DE,de;q=0.9,en;q=0.5"],
    "cache-control": ["no-cache, max-age=0", "public, max-age=31536000, immutable"],
    "if-none-match": ['W/"5e1-18c3a4f2b40"', '"686897696a7c876b7e"'],
    "etag": ['"33a64df551425fcc55e4d42a148795d9f25f89d4"'],
    "content-disposition": ['attachment; filename="report 2026.pdf"', "form-data; name=field"],
    "via": ["1.1 vegur, 1.0 fred"],
    "forwarded": ["for=192.0.2.60;proto=http;by=203.0.113.43"],
    "strict-transport-security": ["max-age=63072000; includeSubDomains; preload"],
    "content-security-policy": [
        "default-src 'self'; img-src *; script-src https://a.example.com 'nonce-abc'"
    ],
    "date": ["Fri, 27 Nov 2026 10:35:44 GMT"],
    "x-forwarded-for": ["203.0.113.195, 2001:db8:85a3::8a2e:370:7334"],
    "range": ["bytes=0-1023"],
    "server": ["istio-envoy"],
    "x-request-id": ["7f3c1e2a-1b2c-4d3e-8f4a-5b6c7d8e9f00"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in HEADER_VALUES for value in HEADER_VALUES[name]]
)
def test_a_header_without_secrets_leaves_as_it_came(name: str, value: str) -> None:
    proxy = Proxy(SCRIPT)
    proxy.exchange([*GET, (name, value)], [*OK, (name, value)])
    assert proxy.span.headers("request")[name] == value
    assert proxy.span.headers("response")[name] == value


# What a search for leaks has found, as a text and the secret in it.
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlc2lnbmF0dXJl"
KEY_LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
LEAKED = [
    ('{"user.login.pin":739281}', "739281"),
    ('{"memo":"card:\\n4242424242424242"}', "424242"),
    ('{"memo":"x\\t4242 4242 4242 4242"}', "4242 4242"),
    ("memo=card+4242+4242+4242+4242+thanks", "4242+4242"),
    ("memo=card+42424242+42424242+thanks", "42424242"),
    ("q=%2222230383679-47709%22", "47709"),  # with the escape's 22, the first group is a card's, too
    (f'{{"x":"sess-{JWT}"}}', "c2lnbmF0"),
    (f'{{"x":"sess_{JWT}"}}', "c2lnbmF0"),
    (f'["-----BEGIN PRIVATE KEY-----","{KEY_LINE}","-----END PRIVATE KEY-----"]', KEY_LINE),
    ('{"passcodes":739281}', "739281"),
    ("<r><x>AKIAIOSFODNN7EXAMPLE</x></r>", "IOSFODNN7"),
    ('{"value":"S3cr3t","name":"passw\\u006frd"}', "S3cr3t"),
    ('[{"name":"a","value":1},{"value":"S3cr3t","name":"password"}]', "S3cr3t"),
    ('[{"value":1,"name":"a"},{"name":"password","value":"S3cr3t"}]', "S3cr3t"),
    ('{"value":"v","items":[{"name":"password","value":"S3cr3t"}]}', "S3cr3t"),
    ('{"key":"password","value":"S3cr3t","content":"S3cr3t"}', "S3cr3t"),
    ("<r><value>1</value><name>a</name><name>password</name><value>S3cr3t</value></r>", "S3cr3t"),
    ("value=1&name=a&name=password&value=S3cr3t", "S3cr3t"),
]


@pytest.mark.parametrize(("text", "secret"), LEAKED)
def test_what_leaked_once_does_not_leave(text: str, secret: str) -> None:
    assert [leaf for leaf in shown(text) if secret in leaf] == []


# What that search found masked, and is harmless.
SPOILED = [
    "/a/npm_registry",
    "/pypi-mirror",
    "/xapp-store",
    "/hvs.html",
    "/ASIANFOOD",
    "/a?lang=sk-SK",
    '{"phone":"+4915112345678"}',
    '{"max_completion_tokens":5,"total_tokens":12}',
]


@pytest.mark.parametrize("text", SPOILED)
def test_what_was_spoiled_once_is_kept(text: str) -> None:
    if text.startswith("/"):
        assert text in shown(path=text)
    assert text in shown(text)
