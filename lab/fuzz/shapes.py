"""The texts that cost a scanner most: a start, a unit repeated as often as there is room, an end."""

from typing import NamedTuple

NUMBER = "\N{NUMERO SIGN}"
"""Stands in a unit for a running number: a cache of names knows none of them."""


class Text(NamedTuple):
    """A text of any size.

    Attributes:
        start: comes once.
        unit: is repeated; not empty.
        end: comes once.
        half: is repeated over the first half of the text; may be empty.
        middle: comes once, after that half.
    """

    start: str
    unit: str
    end: str = ""
    half: str = ""
    middle: str = ""

    def of(self, size: int) -> str:
        """The text of so many characters; the last unit may be cut."""
        start, middle, end = (part.replace(NUMBER, "1") for part in (self.start, self.middle, self.end))
        room = size - len(start) - len(middle) - len(end)
        first = repeated(self.half, room // 2) if self.half else ""
        return start + first + middle + repeated(self.unit, room - len(first)) + end


def repeated(unit: str, size: int) -> str:
    """A unit as often as there is room, the last one cut."""
    count = size // len(unit) + 1
    if NUMBER not in unit:
        return (unit * count)[:size]
    return "".join(unit.replace(NUMBER, str(number)) for number in range(10, 10 + count))[:size]


FORMS: dict[str, tuple[str, str]] = {
    "text": ("", "text/plain"),
    "json": ('{"a":', "application/json"),
    "json list": ("[", "application/json"),
    "json string": ('{"a":"', "application/json"),
    "json in a string": ('{"a":"{\\"a\\":\\"', "application/json"),
    "secret json": ('{"password":', "application/json"),
    "secret json string": ('{"password":"', "application/json"),
    "json lines": ('{"a":1}\n', "application/x-ndjson"),
    "json pairs": ('[{"name":"password","value":', "application/json"),
    "form": ("a=", "application/x-www-form-urlencoded"),
    "secret parameter": ("password=", "application/x-www-form-urlencoded"),
    "xml": ("<a>", "application/xml"),
    "tag": ("<a ", "application/xml"),
    "attribute": ('<a b="', "application/xml"),
    "secret element": ("<password>", "application/xml"),
    "html pairs": ('<form><input name="password" value="', "text/html"),
    "part": ('--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n', "multipart/form-data; boundary=b"),
    "head of a part": ("--b\r\nContent-Disposition: form-data; ", "multipart/form-data; boundary=b"),
    "secret part": (
        '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n',
        "multipart/form-data; boundary=b",
    ),
    "graphql": ('{"query":"mutation{login(user:', "application/json"),
    "graphql text": ('mutation{login(password:"', "application/graphql"),
    "lines": ("password: ", "application/yaml"),
    "object of names": ('{"card":{', "application/json"),
    "element of names": ("<card>", "application/xml"),
    "value in markup": ("<a>pin:x", "application/xml"),
    "object with a long name": ('{"' + "aB" * 58 + '_card":{', "application/json"),
}
"""By form: how its texts start, and the content type that they are declared as."""

# fmt: off
UNITS: list[str] = [
    # One sign, and what forms are made of.
    "a", " ", "\t", "\n", "\r\n", ",", ";", "=", "&", "?", "#", ":", "/", "//", "@", "%", "+", "-", "_",
    ".", '"', "'", "`", "\\", '\\"', "\\\\", "<", ">", "</", "<a", "<a>", "<a ", "</a>", "<!--",
    "<![CDATA[", "[", "]", "{", "}", "(", ")", "[[]", '{"a":', '["', '"a":', '"a":"', '"a":1,', '","', "\0",
    "\xff", "\xc3",
    # Escapes, once and several times.
    "%41", "%25", "%2525", "%%", "%u0022", "\\u0022", "\\u00", "\\n", "&lt;", "&amp;", "&amp;amp;", "&#34;",
    "&#x22;", "&#0", "&quot;", "&", "%3d", "%26", "=%", "a=%", '"%22":',
    # Names and values.
    "a=b&", "a=b;", "id=", "id=id=", "id=%41%41X&", "password=", "password=x&", "password:", '"password":',
    '{"password":{', '"password":"x",', "<password>", "</password>", "<password/>", '<pin x="', "token ",
    '"name":"pin",', '"name":"', '"value":"x",', '{"name":"pin","value":', "name=", 'name="', "<name>",
    "key=", '{"card":{"number":', "card[number]=", "a.b-c_", "a_", "aB", "Ab1", "card ", "card number: ",
    "password\\", "k:,", "k=\\\\", "v=1&", "pin=b&", "</pin:>",
    # Values that are secret by themselves, and what only looks like them.
    "4", "№", "42", "4242 ", "4242-", "4242424242424242 ", "4242 4242 4242 4242 ", "4 2 ", "0123456789012 ",
    "1.", ".eyJ", "eyJ", "eyJ.", "eyJhbGciOiJIUzI1NiJ9.", ".eyJ.eyJ", "eyJa.eyJb.", "aaa.eyJ",
    "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----END ", "-----", "AKIA", "AKIAIOSFODNN7EXAMPLE ",
    "ghp_", "sk_live_", "/AKIA", "=AKIA", '"AKIA', "xoxb-", "glpat-", "AIza", "ya29.", "sk-",
    "eyAi.", "Bearer ", "Bearer+", "bearer a/", "-u a:", '"kty","d":"', '"pin":["a is b" ', 'pin:["is ',
    '"pin":{"type":"object","required":[', '"pin":{"required":[', '"pin":{"scopes":{',
    '"pin":{"properties":{"', '"pin":{"tokenUrl":"a","scopes":', '{"security":[{"auth":[', "a=pin:b&",
    # Bodies of parts.
    "--b\n", "--b\r\n", "\r\n--b\r\n", "--b--", "--b\r\n\r\n", "\n--", '; name="', "; name=", "filename=",
    "\n\n", "name*=", "name*=UTF-8''", "name*0=", '; name="password"\r\n\r\nx\r\n--b\r\n',
    "content-disposition: ",
    # Names that no cache knows, and what each of them may make a scanner look for.
    "pas№:", '"pas№":1,', "pas№=", "<pas№>",
    "id=pas№ ", "name=pas№ value=x ", "a№=b&", '<card№ number="№">', "is№ is: <x№>", '"app№":{"a№":1},',
    ":\\/u@", "<pin><\\/", "<pin>1<\\/pin>", '"x":"<pin><\\/pi",', '"<pin№>x<\\/",',
    '"name":"pas№","value":1,', "<name>pas№</name><value>1</value>",
    "<value>", '"value":', "value=", "<card>", "</card>", '"card":{"a":1},', '"a":"password:{",',
    '"a":"pin={",', 'pin:1,"', "pin_a_", "aB№", "</value", "card ", '["', "[\n", "[\\", '[["pin",', "\n pin:",
    # URLs.
    "://", "https://", "//u:p@", "//u", "/..", "/;", "?a=", "?token=", "/token/", "http://a?password=x ",
    # Mixed.
    '"&amp;=&lt;"', '"\\u003d"', "<a b='c'>", '{"a":"<b>c=d&e=%41</b>"},', "a=[{}]&", "<a>&lt;b&gt;</a>",
    '{"a":"b=c;d"},', "login(password:$p){", 'a(b:"c",password:"', "data: {", "event: a\ndata: ", "*/",
    "/*",
]
# fmt: on
"""What a form is made of, and what a scanner has to look at twice."""
