"""Whatever bytes a client or an application sends: they pass, the span is right, and no secret leaves.

Requests go through a real Envoy; each payload is decoded strictly and compared with what was sent.
"""

import base64
import codecs
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab import mesh, raw, stack
from lab.mesh import Lab
from lab.otlp import Span
from tests.envoy import upstreams
from tests.envoy.upstreams import Request, endpoint_at
from tests.leaks import Leaks

pytestmark = pytest.mark.anyio

SMALL = 64  # bytes kept of a body, so that short ones are cut
LARGE = 65_536  # the default

# Whether text of these types is shown although it is not valid UTF-8.
CONTENT_TYPES = {
    None: False,
    b"": False,
    b";": False,
    b"text/plain": True,
    b"TEXT/HTML;charset=utf-8": True,
    b"application/json": True,
    b"application/problem+json": True,
    b"application/x-www-form-urlencoded": True,
    b"application/octet-stream": False,
    b"image/png": False,
    b"multipart/form-data; boundary=x": False,
    b"\xff/\xfe": False,
}
ENCODINGS = {None: False, b"": False, b"Identity": False, b"gzip": True, b"br, gzip": True, b"\xff": True}
HEADERS = [b"user-agent", b"via", b"etag", b"warning", b"origin", b"content-language"]


def repaired(data: bytes) -> str:
    """Text in which each byte that belongs to no UTF-8 sequence is U+FFFD."""
    return data.decode(errors="each byte")


codecs.register_error(
    "each byte",
    lambda error: ("\ufffd" * (error.end - error.start), error.end),  # type: ignore[attr-defined]
)


@dataclass(frozen=True)
class Message:
    """What a request or a response is made of, besides its first line."""

    content_type: bytes | None
    encoding: bytes | None
    headers: list[tuple[bytes, bytes]]
    body: bytes
    cuts: list[int] | None  # where chunks end; None: with a content-length

    def encoded(self) -> bytes:
        """The bytes on the wire."""
        headers = list(self.headers)
        if self.content_type is not None:
            headers.append((b"Content-Type", self.content_type))
        if self.encoding is not None:
            headers.append((b"Content-Encoding", self.encoding))
        if self.cuts is None:
            headers.append((b"Content-Length", b"%d" % len(self.body)))
            body = self.body
        else:
            headers.append((b"Transfer-Encoding", b"chunked"))
            ends = sorted({cut % (len(self.body) + 1) for cut in self.cuts} | {len(self.body)})
            parts = [self.body[start:end] for start, end in zip([0, *ends], ends, strict=False)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"
        return b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + body

    def expected(self, name: str, *, limit: int, raw_bytes: bool) -> dict[str, object]:
        """The attributes of its body, by the table of the design."""
        key = f"http.{name}.body"
        size = len(self.body)
        result: dict[str, object] = {key: ""} | ({f"{key}.size": size} if size else {})
        kept = self.body[:limit]
        is_encoded = ENCODINGS[self.encoding]
        text = self._text(
            kept, cut=size > limit, is_declared=CONTENT_TYPES[self.content_type] and not is_encoded
        )
        if text is not None:
            result[key] = text
        elif raw_bytes and size:
            result[key] = kept
        elif size:
            return result | {f"{key}.omitted": "encoding" if is_encoded else "binary"}
        return result | ({f"{key}.truncated": True} if size > limit else {})

    @staticmethod
    def _text(kept: bytes, *, cut: bool, is_declared: bool) -> str | None:
        """The body as text, or None if it is binary; a character that the limit cuts is left out."""
        decoder = codecs.getincrementaldecoder("utf-8")
        try:
            text = decoder().decode(kept, final=not cut)
        except UnicodeDecodeError:
            is_text = False
            text = decoder("each byte").decode(kept, final=not cut)
        else:
            is_text = not re.search(r"[\0-\x08\x0b\x0e-\x1f]", text)
        is_marked = re.match(r'[\s\ufeff]*([\[{]\s*["{\[\]}\d-]|<[A-Za-z!?])', text, re.ASCII)
        return text if is_text or is_declared or is_marked else None


@dataclass
class Application:
    """Answers requests with what was prepared, and remembers them."""

    response: bytes = b""
    requests: list[Request] = field(default_factory=list)

    async def __call__(self, connection: raw.Connection) -> None:
        while True:
            self.requests.append(await upstreams.request(connection))
            await connection.send(self.response)


@asynccontextmanager
async def running(**capture: object) -> AsyncIterator[tuple[Lab, Application]]:
    """A lab with an application of prepared responses."""
    application = Application()
    async with (
        upstreams.listening(application) as port,
        mesh.running(stack.manifests(capture=capture), configure=endpoint_at(port)) as lab,
    ):
        yield lab, application


@pytest.fixture(params=["omit", "bytes"])
async def plain(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Lab, Application, bool]]:
    """A lab that masks nothing and keeps little of bodies, and whether it sends binary ones."""
    capture = {"redaction": {"mode": "none"}, "maxBodyBytes": SMALL, "binaryBodies": request.param}
    async with running(**capture) as (lab, application):
        yield lab, application, request.param == "bytes"


visible = st.binary(max_size=20).map(lambda data: re.sub(rb"[\0-\x20\x7f]", b"", data))
values = st.binary(max_size=20).map(lambda data: re.sub(rb"[\0-\x08\x0a-\x1f\x7f]", b"", data))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=2 * SMALL).map(str.encode)
bodies = st.one_of(
    st.binary(max_size=2 * SMALL), texts, st.tuples(texts, st.binary(max_size=3)).map(b"".join)
)


def messages(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[Message]:
    return st.builds(
        Message,
        st.sampled_from(list(CONTENT_TYPES)),
        st.sampled_from([None, *ENCODINGS]),
        st.lists(st.tuples(st.sampled_from(HEADERS), values), max_size=6),
        bodies,
        st.none() | st.lists(st.integers(0, 10 * SMALL), max_size=4),
    )


shared_lab = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def exchange(lab: Lab, start: bytes, request: Message) -> raw.Response:
    async with raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(start + b" HTTP/1.1\r\nHost: h\r\n" + request.encoded())
        return await connection.response(to_head=start.startswith(b"HEAD"))


async def span_of(lab: Lab, request: Request) -> Span:
    """The span of a request, by the id that Envoy gave it."""
    trace_id = request.header(b"x-request-id").decode().replace("-", "")
    found: list[Span] = []
    arrived = 0
    while not found:
        spans = await lab.collector.spans(arrived)
        found = [span for span in spans if span.trace_id == trace_id]
        arrived = len(spans) + 1
    [span] = found
    return span


def body_attributes(span: Span, name: str) -> dict[str, object]:
    return {key: value for key, value in span.attributes.items() if key.startswith(f"http.{name}.body")}


def assert_headers(shown: object, sent: list[tuple[bytes, bytes]]) -> None:
    """A span's headers are those that were sent, repeated ones joined."""
    found = json.loads(str(shown))
    for name in {name for name, _ in sent}:
        joined = b",".join(value for key, value in sent if key == name)
        assert found[name.decode()] == repaired(joined)


CUT_WITHIN = [
    pytest.param("ä".encode(), id="a character"),
    pytest.param("😀".encode(), id="a longer character"),
    pytest.param(b"\xff", id="a byte of no character"),
    pytest.param(b"\xe0\x80\x80", id="an overlong character"),
    # Not a surrogate: Python's decoder, the oracle here, waits for its third byte, and RFC 3629 does not.
    pytest.param(b"\xf5\x80\x80\x80", id="a character above U+10FFFF"),
]


@pytest.mark.parametrize("within", CUT_WITHIN)
async def test_a_body_is_cut_on_a_character_boundary(within: bytes) -> None:
    async with running(redaction={"mode": "none"}, maxBodyBytes=SMALL) as (lab, application):
        application.response = b"HTTP/1.1 204 OK\r\n\r\n"
        sent = [
            Message(declared, None, [], b"x" * (SMALL - kept) + within + b"y", None)
            for declared in (b"text/plain", b"image/png")
            for kept in range(len(within) + 1)
        ]
        for message in sent:
            await exchange(lab, b"POST /", message)
        spans = await lab.collector.spans(len(sent))
    assert [body_attributes(span, "request") for span in spans] == [
        message.expected("request", limit=SMALL, raw_bytes=False) for message in sent
    ]


@shared_lab
@given(
    path=visible,
    method=st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD"]),
    sent=messages(bodies),
    answered=messages(bodies),
)
async def test_any_bytes_pass_and_are_captured_as_the_design_says(
    plain: tuple[Lab, Application, bool], path: bytes, method: bytes, sent: Message, answered: Message
) -> None:
    lab, application, raw_bytes = plain
    lab.collector.clear()
    application.requests.clear()
    application.response = b"HTTP/1.1 200 OK\r\n" + answered.encoded()
    response = await exchange(lab, method + b" /" + path, sent)
    if not application.requests:
        assert response.status == 400  # Envoy takes no such path; its span, if any, comes when it likes
        return
    [passed] = application.requests
    span = await span_of(lab, passed)
    assert lab.collector.refused == []
    attributes = span.attributes

    assert passed.body == sent.body
    assert attributes["http.target"] == repaired(passed.line.split(b" ")[1])
    assert_headers(
        attributes["http.request.headers"], [header for header in passed.headers if header[0] in HEADERS]
    )
    assert body_attributes(span, "request") == sent.expected("request", limit=SMALL, raw_bytes=raw_bytes)

    if method != b"HEAD":
        assert response.body == answered.body
        assert body_attributes(span, "response") == answered.expected(
            "response", limit=SMALL, raw_bytes=raw_bytes
        )
    assert_headers(
        attributes["http.response.headers"],
        [
            (name.encode(), value.encode("latin-1"))
            for name, value in response.headers
            if name.encode() in HEADERS
        ],
    )


large = st.builds(
    lambda unit, size: (unit * (size // max(len(unit), 1) + 1))[:size],
    st.binary(min_size=1, max_size=9) | texts.filter(bool),
    st.integers(0, 3 * LARGE) | st.integers(LARGE - 4, LARGE + 4),
)


@settings(shared_lab, max_examples=25)
@given(sent=messages(large), answered=messages(large))
async def test_large_bodies_pass_whole_and_are_captured_up_to_the_limit(
    masking: tuple[Lab, Application], sent: Message, answered: Message
) -> None:
    lab, application = masking
    lab.collector.clear()
    application.requests.clear()
    application.response = b"HTTP/1.1 200 OK\r\n" + answered.encoded()
    assert (await exchange(lab, b"POST /", sent)).body == answered.body
    assert application.requests[0].body == sent.body
    [span] = await lab.collector.spans(1)
    assert lab.collector.refused == []
    assert span.attributes.get("http.request.body.size", 0) == len(sent.body)
    assert span.attributes.get("http.response.body.size", 0) == len(answered.body)


# Secrets.

SECRET = "Zq8xW4kP9vB2nL6tRy3"
NUMBER = "739281640455190273"


def test_the_search_for_leaks_finds_every_spelling() -> None:
    leaks = Leaks(SECRET)
    spelled = [
        SECRET,
        SECRET[3:9],
        json.dumps(json.dumps(f'"{SECRET}"')),
        "".join(f"\\u{ord(letter):04x}" for letter in SECRET),
        "".join(f"%{ord(letter):02X}" for letter in SECRET),
        "".join(f"%25{ord(letter):02x}" for letter in SECRET),
        "".join(f"&#{ord(letter)};" for letter in SECRET),
        "\0".join(SECRET),
        *(base64.b64encode(b"x" * lead + SECRET.encode() + b"y").decode() for lead in range(3)),
    ]
    assert [text for text in spelled if not leaks.within(text)] == []
    assert not leaks.within(SECRET[:4] + " " + SECRET[-4:] + "***")


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


def percent(text: str) -> str:
    return "".join(f"%{ord(letter):02x}" for letter in text)


def multipart(name: str, content: str, *, boundary: str = "b0", line: str = "\r\n", more: str = "") -> str:
    return line.join(
        [
            f"--{boundary}",
            'Content-Disposition: form-data; name="user"',
            "",
            "jane",
            f"--{boundary}",
            f"Content-Disposition: form-data; {name}{more}",
            "",
            content,
            f"--{boundary}--",
            "",
        ]
    )


NESTED = json.dumps({"a": json.dumps({"b": json.dumps({"password": SECRET})})})
JSONS = [
    f'{{"user":"jane","password":"{SECRET}","page":1}}',
    f'{{"password":"{escaped(SECRET)}"}}',
    f'{{"password":"\\"{SECRET}\\"{SECRET}\\\\"}}',
    f'{{"pass\\u0077ord":"{SECRET}"}}',
    f'{{"{escaped("password")}" \n\t: \r\n "{SECRET}"}}',
    f'{{"card_number":{NUMBER},"x":[{{"pin":-{NUMBER}.{NUMBER}e{NUMBER}}}]}}',
    f'{{"a":{{"b":[[{{"apiKey":"{SECRET}"}}],{{"c":{{"x.api-key":["{SECRET}",{NUMBER}]}}}}]}}}}',
    f'{{"credentials":{{"user":"{SECRET}","more":[{{"deep":"{SECRET}"}},"}}","{SECRET}"]}},"kept":1}}',
    f'[{{"token":"{SECRET}"}},{{"token":"{SECRET}"}}]',
    f'{{"text":"{{\\"clientSecret\\":\\"{SECRET}\\"}}"}}',
    NESTED,
    f'"{{\\"password\\":\\"{SECRET}\\"}}"',
    f'{{"form":"user=jane&password={SECRET}&x=1"}}',
    f'{{"next":"https://h/p?access_token={SECRET}#id_token={SECRET}","x":1}}',
    f'{{"soap":"<a><Password>{SECRET}</Password></a>"}}',
    f'{{"id":1}}\n{{"password":"{SECRET}"}}\n{{"id":2,"otp":"{NUMBER}"}}\n',
    f'{{"password":null,"passwd":"{SECRET}","pwd":["{SECRET}"]}}',
    f'{{"soap":"&lt;password&gt;{SECRET}&lt;/password&gt;"}}',
]
FORMS = [
    f"user=jane&password={SECRET}&page=1",
    f"password={percent(SECRET)}",
    f"pass%77ord={SECRET}&{percent('password')}={SECRET}",
    f"user[password]={SECRET}&login.password={SECRET}",
    f"api+key={SECRET}&client%20secret={SECRET}",
    f"a=1;token={SECRET};b=2",
    f"data={quote_plus(JSONS[0])}&x=1",
    f"next={quote('https://h/?access_token=' + SECRET, safe='')}",
    f"next={quote(quote('/?access_token=' + SECRET, safe=''), safe='')}",
    f"x=&=&&password=={SECRET}",
    f"?password={SECRET}",
]
MULTIPARTS = [
    multipart('name="password"', SECRET),
    multipart("name=password", SECRET, line="\n"),
    multipart('NAME="userPassword"', SECRET),
    multipart('name="pass%77ord"', SECRET),
    multipart("name*=UTF-8''password", SECRET),
    multipart('filename="a.txt"; name="private_key"', SECRET),
    multipart('name="secret"', SECRET, more="\r\nContent-Type: text/plain; charset=utf-8"),
    multipart('name="data"', JSONS[0], more="\r\nContent-Type: application/json"),
    multipart('name="data"', FORMS[0]),
    multipart('name="password"', f"{SECRET}\r\n\r\n{SECRET}"),
    multipart('name="file"; filename="b0"', multipart('name="password"', SECRET, boundary="b1")),
    "a preamble, as RFC 2046 allows\r\n" + multipart('name="password"', SECRET),
    "\r\n" + multipart('name="password"', SECRET),
]
XMLS = [
    f"<login><user>jane</user><password>{SECRET}</password></login>",
    f'<?xml version="1.0"?>\n<a:login xmlns:a="u"><a:Password a:type="t">{SECRET}</a:Password></a:login>',
    f'<login user="jane" password="{SECRET}" page="1"/>',
    f"<login password = '{SECRET}' user='jane'></login>",
    f"<password><![CDATA[{SECRET}]]></password>",
    f"<password>&#90;{SECRET}<!-- {SECRET} --></password >",
    f"<password><password>{SECRET}</password>{SECRET}<x>{SECRET}</x></password>",
    f'<field name="password" value="{SECRET}"/><entry key="api_key">{SECRET}</entry>',
    f'<field value="{SECRET}" name="password"/>',
    f"<a title='a > b' b=\"<\"/><pin>{NUMBER}</pin>",
    f"<PASSWORD\n>{SECRET}</PASSWORD\n>",
    f"<r>&lt;login&gt;&lt;password&gt;{SECRET}&lt;/password&gt;&lt;/login&gt;</r>",
    f"<dict><key>password</key><string>{SECRET}</string></dict>",
]
LINES = [
    f"user: jane\npassword: {SECRET}\npage: 1\n",
    f"[login]\npassword={SECRET}\n",
    f"export API_KEY='{SECRET}'\n",
    f"callback({JSONS[0]})",
    f")]}}',\n{JSONS[0]}",
    f"{{'user': 'jane', 'password': '{SECRET}'}}",
    f"{{user: jane, password: {SECRET}}}",
    f'{{"password"="{SECRET}"}}',
    f'{{"user":"jane" "password":"{SECRET}"}}',
    f'{{"user":"jane",,"password":"{SECRET}",}}',
    f'{{/* a */"password":/* b */"{SECRET}"}}',
    f'{{"user":"ja\nne","password":"{SECRET}"',
    f'{{"a":"{{\\"password\\":\\"{SECRET}',
    f'{{"a":tru,"password":"{SECRET}"}}',
    f'}}{{"password":"{SECRET}"}}',
    f"<login><password>{SECRET}</login>",
    f"<login><password>{SECRET}<password>",
    f"<login password={SECRET}>",
    f'<login password="{SECRET}>',
    f'event: login\ndata: {{"password":"{SECRET}"}}\n\n',
]
DOCUMENTS = [*JSONS, *FORMS, *MULTIPARTS, *XMLS, *LINES]
DECLARED = [
    None,
    b"text/plain",
    b"application/json",
    b"application/xml",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=b0",
    b"application/octet-stream",
    b"image/png",
]


QUERIES = [
    f"password={SECRET}",
    f"a=1&pass%77ord={SECRET}",
    f"a=1&{percent('password')}={percent(SECRET)}",
    f"a=1;token={SECRET};b=2",
    f"a&=&password=={SECRET}",
    f"user[password]={SECRET}",
    f"api+key={SECRET}&client%20secret={SECRET}",
    f"API_KEY={SECRET}#access_token={SECRET}",
    f"a=1#id_token={SECRET}&state=1",
    f"a=1?password={SECRET}",
    f"a=1&next=https://jane:{SECRET}@h/p",
    f"X-Amz-Signature={SECRET}&X-Amz-Security-Token={SECRET}",
    f"next={quote('/p?token=' + SECRET, safe='')}",
    f"next={quote(quote('/p?token=' + SECRET, safe=''), safe='')}",
    f"data={quote(JSONS[0], safe='')}",
]
URL_HEADERS = ["referer", "location", "content-location", "x-envoy-original-path", "x-original-url"]
BASIC = base64.b64encode(f"jane:{SECRET}".encode()).decode()
HEADER_VALUES = {
    "authorization": [
        f"Bearer {SECRET}",
        f"bearer  {SECRET}",
        f"Bearer\t{SECRET}",
        f"Basic {BASIC}",
        SECRET,
        f"{SECRET} x",
        f"{SECRET}, Bearer {SECRET}",
        f'Digest username="jane", response="{SECRET}"',
        f"AWS4-HMAC-SHA256 Credential={SECRET}/20260101/eu/s3, Signature={SECRET}",
        f"token={SECRET}",
    ],
    "proxy-authorization": [f"Basic {BASIC}", f"Bearer {SECRET}", SECRET],
    "cookie": [
        f"session={SECRET}; theme={SECRET}",
        f"{SECRET}",
        f"theme=dark; {SECRET}",
        f"{SECRET};theme={SECRET}",
        f'session="{SECRET}"',
        f"a={SECRET}={SECRET}",
        f"a=1, b={SECRET}",
        f"; ;={SECRET}",
    ],
    "set-cookie": [
        f"session={SECRET}; Path=/; HttpOnly",
        f"{SECRET}; Path=/",
        f"={SECRET}",
        f"session={SECRET}; x={SECRET}; {SECRET}",
        f"session={SECRET}, other={SECRET}; Path=/",
    ],
    **{
        name: [SECRET, f"Bearer {SECRET}", f'"{SECRET}"', f"a={SECRET}"]
        for name in (
            *("x-api-key", "x-auth-token", "x-amz-security-token", "x-csrf-token", "x-xsrf-token"),
            *("x-access-token", "x-istio-auth-userinfo", "api-key", "apikey", "private-token"),
            *("x-session-id", "x-client-secret", "x-hub-signature-256", "x-user-password", "x-jwt-assertion"),
        )
    },
    **{name: [f"https://h/p?{query}" for query in QUERIES] for name in URL_HEADERS},
    "link": [f"<https://h/p?{query}>; rel=next, </p?{query}>; rel=prev" for query in QUERIES],
    "refresh": [f"0; url=/p?{query}" for query in QUERIES],
}
RECORDED = [*HEADER_VALUES, *(name.decode() for name in HEADERS), "host"]


class Mirror:
    """Answers with the request's own body, content type and recorded headers."""

    async def __call__(self, connection: raw.Connection) -> None:
        kept = {name.encode() for name in HEADER_VALUES} | {b"content-type"}
        while True:
            request = await upstreams.request(connection)
            headers = [header for header in request.headers if header[0] in kept]
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            length = b"Content-Length: %d\r\n\r\n" % len(request.body)
            await connection.send(b"HTTP/1.1 200 OK\r\n" + lines + length + request.body)


@dataclass(frozen=True)
class Case:
    """A request in which a secret is planted."""

    body: bytes = b""
    declared: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""

    def encoded(self, number: int) -> bytes:
        """The bytes on the wire, for a target that has its number."""
        message = Message(
            self.declared,
            None,
            [(name.encode(), value.encode()) for name, value in self.headers],
            self.body,
            None,
        )
        target = f"/case/{number}{'?' if self.query else ''}{self.query}"
        return f"POST {target} HTTP/1.1\r\nHost: h\r\n".encode() + message.encoded()


Leaking = Callable[[Iterable[Case]], Awaitable[list[Case]]]


@asynccontextmanager
async def mirroring(**capture: object) -> AsyncIterator[Leaking]:
    """A function that sends cases, and returns those of which a part of a secret reaches the collector."""
    leaks = Leaks(SECRET, NUMBER)
    payloads: list[str] = []

    async def keep(request: web.Request) -> None:
        payloads.append((await request.read()).decode("latin-1"))

    async with (
        upstreams.listening(Mirror()) as port,
        mesh.running(
            stack.manifests(capture={"headers": RECORDED, **capture}), configure=endpoint_at(port)
        ) as lab,
        raw.connect(lab.envoy.ports["inbound"]) as connection,
    ):

        async def leaking(cases: Iterable[Case]) -> list[Case]:
            cases = list(cases)
            lab.collector.clear()
            payloads.clear()
            for number, case in enumerate(cases):
                await connection.send(case.encoded(number))
                response = await connection.response()
                assert (response.status, response.body) == (200, case.body), case
            spans = await lab.collector.spans(len(cases))
            assert lab.collector.refused == []
            assert len(spans) == len(cases)
            found = [
                cases[int(re.findall(r"/case/(\d+)", str(span.attributes["http.target"]))[0])]
                for span in spans
                if any(leaks.within(str(value)) for value in span.attributes.values())
            ]
            assert found or not any(leaks.within(payload) for payload in payloads)
            return found

        lab.collector.behaviour = keep
        yield leaking


@pytest.fixture
async def leaking() -> AsyncIterator[Leaking]:
    """With the default settings, and every header recorded."""
    async with mirroring() as found:
        yield found


def declared(bodies: Iterable[bytes]) -> list[Case]:
    """A case of each body, whatever its declared type."""
    return [Case(body, kind) for body, kind in zip(bodies, itertools.cycle(DECLARED), strict=False)]


async def test_no_secret_of_a_body_leaves_whatever_its_form_and_declared_type(leaking: Leaking) -> None:
    assert await leaking(Case(text.encode(), kind) for text in DOCUMENTS for kind in DECLARED) == []


async def test_no_secret_of_a_body_that_ends_anywhere_leaves(leaking: Leaking) -> None:
    cut = [text[:size].encode() for text in DOCUMENTS for size in range(10, len(text), 4)]
    assert await leaking(declared(cut)) == []


async def test_no_secret_of_a_body_that_is_cut_at_the_limit_leaves() -> None:
    limit = 120
    starts = [
        (" " * pad + text).encode()
        for text in DOCUMENTS
        for pad in range(max(0, limit - len(text)), limit - 10, 9)
    ]
    async with mirroring(maxBodyBytes=limit) as leaking:
        assert await leaking(declared(starts)) == []


MANGLED = {
    "after a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "after a byte that is no UTF-8": lambda body: b"\xff" + body,
    "after a NUL": lambda body: b"\0" + body,
    "after white space": lambda body: b" \r\n\t" + body,
    "after other white space": lambda body: b"\x0b\x0c\xc2\xa0" + body,
    "before bytes that are no UTF-8": lambda body: body + b"\xff\0\xfe",
    "with bytes that are no UTF-8": lambda body: body.replace(
        SECRET[:1].encode(), b"\xff\0" + SECRET[:1].encode()
    ),
    "with other quotes": lambda body: body.replace(b'"', b"'"),
    "without quotes": lambda body: body.replace(b'"', b""),
    "with more space": lambda body: re.sub(rb"(?<=[\w\"])[:=](?=\")", rb" \g<0> ", body),
    "in capitals": lambda body: re.sub(rb"pass\w*", lambda found: found[0].upper(), body),
    "twice": lambda body: body + body,
    "in brackets": lambda body: b"[[" + body + b"]]",
    "in open braces": lambda body: b"{{{" + body,
    "in a string": lambda body: json.dumps(body.decode()).encode(),
    "in a field": lambda body: json.dumps({"a": [body.decode()]}).encode(),
    "in UTF-16": lambda body: body.decode().encode("utf-16"),
    "after a form": lambda body: b"a=1&b=2&" + body,
}


@pytest.mark.parametrize("mangle", MANGLED.values(), ids=MANGLED)
async def test_no_secret_of_a_body_leaves(leaking: Leaking, mangle: Callable[[bytes], bytes]) -> None:
    assert await leaking(declared(mangle(text.encode()) for text in DOCUMENTS)) == []


async def test_no_secret_of_a_header_leaves(leaking: Leaking) -> None:
    alone = [((name, value),) for name, values in HEADER_VALUES.items() for value in values]
    repeated = [
        ((name, "first"), *((name, value) for value in values)) for name, values in HEADER_VALUES.items()
    ]
    assert await leaking(Case(headers=headers) for headers in [*alone, *repeated]) == []


async def test_no_secret_of_a_query_leaves(leaking: Leaking) -> None:
    # Envoy refuses a path with a fragment.
    assert await leaking(Case(query=query) for query in QUERIES if "#" not in query) == []


@st.composite
def planted(draw: st.DrawFn) -> Case:
    """A JSON document with a secret field anywhere, written in any way, possibly cut."""
    plain = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8)
    anything = st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    )
    names = ["password", "userPassword", "API-Key", "x.access_token", "cardNumber", "client secret", "PIN"]
    values = [SECRET, NUMBER, int(NUMBER), [SECRET], {"deep": [SECRET, None]}, f'"{SECRET}\\', f"\n{SECRET}"]
    document: object = {draw(st.sampled_from(names)): draw(st.sampled_from(values))}
    for _ in range(draw(st.integers(0, 3))):
        before, after = draw(anything), draw(anything)
        document = draw(
            st.sampled_from(
                [
                    [before, document, after],
                    {"a": before, "b": document, "c": after},
                    {"text": json.dumps(document)},
                ]
            )
        )
    text = json.dumps(
        document, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 0, 1, "\t"]))
    ).encode("utf-8", "surrogatepass")
    return Case(text[: draw(st.integers(0, len(text)) | st.just(len(text)))], draw(st.sampled_from(DECLARED)))


@shared_lab
@given(cases=st.lists(planted(), min_size=1, max_size=5))
async def test_no_secret_of_any_json_leaves(leaking: Leaking, cases: list[Case]) -> None:
    assert await leaking(cases) == []


@pytest.fixture
async def masking() -> AsyncIterator[tuple[Lab, Application]]:
    """A lab with the default settings."""
    async with running() as found:
        yield found
