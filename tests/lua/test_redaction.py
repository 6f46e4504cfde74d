"""Which values of bodies, queries and URLs are masked, in which forms and places."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lua.fake_envoy import GET, OK

SECRET = "s3cr3t-Value"


def shown(proxy, body, content_type="text/plain"):
    """A body as the span shows it."""
    content = body if isinstance(body, bytes) else body.encode()
    proxy.exchange(sent=[content], request=[*GET, ("content-type", content_type)])
    return proxy.spans[-1]["http.request.body"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "password",
            "Password",
            "PASSWORD",
            "userPassword",
            "password_hash",
            "new-password",
            "user.password",
        ),
        *(
            "apiKey",
            "api_key",
            "API-KEY",
            "APIKey",
            "apikey",
            "x.api.key",
            "accessToken",
            "tokens",
            "refreshToken2",
        ),
        *(
            "clientSecret",
            "secrets",
            "pin",
            "cardNumber",
            "card_number",
            "cvv",
            "ssn",
            "sessionId",
            "privateKey",
        ),
        *("credentials", "passwd", "pwd", "passphrase", "jwt", "otp", "Pass_Word", "db_pass", "securityCode"),
        *("_csrf", "client_assertion", "SAMLResponse", "signingKey", "connectionString"),
        *(
            "pAsSwOrD",
            "dbpassword",
            "confirmpassword",
            "csrfmiddlewaretoken",
            "Cookie",
            "sid",
            "mfaCode",
            "cc-number",
        ),
    ],
)
def test_names_with_secret_words_are_secret(proxy, name):
    assert shown(proxy, json.dumps({name: SECRET, "kept": 1})) == f'{{"{name}": "***", "kept": 1}}'.replace(
        ': "***"', ':"***"'
    )


@pytest.mark.parametrize(
    "name",
    ["monkey", "tokenizer", "keyboard", "spinning", "secretary", "pinned", "assignment", "compass", "x", ""],
)
def test_names_that_only_contain_the_letters_of_a_secret_word_are_not(proxy, name):
    body = json.dumps({name: "plain"})
    assert shown(proxy, body) == body


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ('{"a":{"b":[{"password":"S"}]}}', '{"a":{"b":[{"password":"***"}]}}'),
        ('[{"token":"S"},{"token":"S"}]', '[{"token":"***"},{"token":"***"}]'),
        ('{"pin":1234,"a":1}', '{"pin":"***","a":1}'),
        ('{"pin":-1.5e3}', '{"pin":"***"}'),
        ('{"secret":true,"a":null}', '{"secret":true,"a":null}'),
        ('{"secret":{"a":"S","b":[1,"}"]},"c":1}', '{"secret":{"a":"***","b":["***","***"]},"c":1}'),
        ('{"secret":["S","]",{"x":"S"}],"c":1}', '{"secret":"***","c":1}'),
        ('{"password" : \n "S" , "a":1}', '{"password" :"***" , "a":1}'),
        ('{"pass\\u0077ord":"S"}', '{"pass\\u0077ord":"***"}'),
        ('{"password":"S\\"S","a":1}', '{"password":"***","a":1}'),
        ('{"password":"S\\\\","a":1}', '{"password":"***","a":1}'),
        ('{"a":"{\\"password\\":\\"S\\",\\"b\\":1}"}', '{"a":"{\\"password\\":\\"***\\",\\"b\\":1}"}'),
        ('{"a":"user=x&password=S"}', '{"a":"user=x&password=***"}'),
        ('{"url":"https://h/p?token=S&a=1"}', '{"url":"https://h/p?token=***&a=1"}'),
        ('{"password":"S"}\n{"a":1}\n{"token":"S"}\n', '{"password":"***"}\n{"a":1}\n{"token":"***"}\n'),
        ('\ufeff {"password":"S"}', '\ufeff {"password":"***"}'),
        ('"{\\"password\\":\\"S\\"}"', '"{\\"password\\":\\"***\\"}"'),
        (
            '[{"name":"password","value":"S"},{"name":"a","value":"b"}]',
            '[{"name":"password","value":"***"},{"name":"a","value":"b"}]',
        ),
        ('{"Key":"apiKey","note":"a=b","Value":["S"]}', '{"Key":"apiKey","note":"a=b","Value":"***"}'),
        ('{"name":"jane","value":"kept"}', '{"name":"jane","value":"kept"}'),
        ('[["pin","S",5],["a",1]]', '[["pin","***",5],["a",1]]'),
        ('[["pin","S",-1.5e+3, true],1]', '[["pin","***",-1.5e+3, true],1]'),
        ('[ ["pin", ["S"], null ], 1]', '[ ["pin","***", null ], 1]'),
        ('[["pin",{"a":"S"},false,"b"]]', '[["pin","***",false,"b"]]'),
        ('[["pin",[],12],"a"]', '[["pin",[],12],"a"]'),
        ('[["pin",null],"a"]', '[["pin",null],"a"]'),
        ('{"a":"[[\\"pin\\",\\"S\\",\\n 5\\n ]]"}', '{"a":"[[\\"pin\\",\\"***\\",\\n 5\\n ]]"}'),
    ],
)
def test_json_fields_are_masked(proxy, body, masked):
    assert shown(proxy, body.replace("S", SECRET), "application/json") == masked


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "image/png", ""])
def test_a_declared_type_hides_no_field(proxy, content_type):
    assert shown(proxy, f'{{"password":"{SECRET}"}}', content_type) == '{"password":"***"}'


@pytest.mark.parametrize(
    "body",
    [
        "{password: 'S'}",
        "{'password': 'S'}",
        '{"a":1 "password":"S"}',
        '{"a":1}}{{"password":"S"',
        '{"a":undefined,"password":"S"}',
        '{"a":NaN,"password":"S"}',
        ')]}\',\n{"password":"S"}',
        'for(;;);{"password":"S"}',
        'callback({"password":"S"})',
        "password: S\n",
        "user: x\npassword = 'S'",
        "{{ssn:S}}",
    ],
)
def test_the_secrets_of_broken_json_do_not_pass(proxy, body):
    assert SECRET not in shown(proxy, body.replace("S", SECRET))


def test_json_cut_anywhere_shows_no_part_of_a_secret(start):
    body = f'{{"user":"jane","password":"{SECRET}","nested":{{"pin":"{SECRET}","api\\u004bey":"{SECRET}"}}}}'
    for limit in range(len(body)):
        proxy = start(max_body_bytes=limit)
        text = shown(proxy, body, "application/json")
        assert SECRET[:3] not in text


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ("user=x&password=S&a=1", "user=x&password=***&a=1"),
        ("pass%77ord=S", "pass%77ord=***"),
        ("user%5Bpassword%5D=S", "user%5Bpassword%5D=***"),
        ("a=1;token=S", "a=1;token=***"),
        ("token=S=S==&a=1", "token=***&a=1"),
        ("password=S", "password=***"),
        ("password=", "password="),
        ("a=%7B%22password%22%3A%22S%22%7D&b=1", "a=***&b=1"),
        ("next=%2Fx%3Ftoken%3DS&b=1", "next=***&b=1"),
        ("a=1&b=two+words&monkey=3", "a=1&b=two+words&monkey=3"),
    ],
)
def test_form_fields_are_masked(proxy, body, masked):
    assert shown(proxy, body.replace("S", SECRET), "application/x-www-form-urlencoded") == masked


@pytest.mark.parametrize(
    ("target", "masked"),
    [
        ("/a?token=S", "/a?token=***"),
        ("/a?x=1&api_key=S#frag", "/a?x=1&api_key=***"),
        ("/a;jsessionid=S?x=1", "/a;jsessionid=***?x=1"),
        ("/a?next=/b?access_token=S", "/a?next=/b?access_token=***"),
        ("/a?q=%7B%22pin%22%3A%22S%22%7D", "/a?q=***"),
        ("/callback#access_token=S&x=1", "/callback#access_token=***&x=1"),
        ("/a?tok%65n=S", "/a?tok%65n=***"),
        ("/a?x=1&tokenizer=fast", "/a?x=1&tokenizer=fast"),
        ("/token/plain", "/token/plain"),
    ],
)
def test_parameters_of_urls_are_masked_wherever_a_url_stands(proxy, target, masked):
    url = target.replace("S", SECRET)
    proxy.exchange(
        [*GET[:1], (":path", url), *GET[2:], ("referer", f"https://h{url}"), ("x-envoy-original-path", url)],
        [*OK, ("location", url)],
    )
    span = proxy.span
    assert span["http.target"] == masked
    assert span.headers("request")["referer"] == f"https://h{masked}"
    assert span.headers("request")["x-envoy-original-path"] == masked
    assert span.headers("response")["location"] == masked


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://jane:S@h/p", "https://***@h/p"),
        ("https://S@h?a=1", "https://***@h?a=1"),
        ("//jane:S@S@h", "//***@h"),
        ("<https://jane:S@h>; rel=next, </p>", "<https://***@h>; rel=next, </p>"),
        ("https://h/jane@example.com", "https://h/jane@example.com"),
        ("https://h, mailto:jane@example.com", "https://h, mailto:jane@example.com"),
    ],
)
def test_user_information_of_urls_is_masked_in_headers_and_bodies(proxy, url, masked):
    url = url.replace("S", SECRET)
    proxy.exchange([*GET, ("referer", url)], [*OK, ("location", url)])
    assert proxy.span.headers("request")["referer"] == masked
    assert proxy.span.headers("response")["location"] == masked
    assert shown(proxy, f'{{"url":"{url}"}}') == f'{{"url":"{masked}"}}'
    assert shown(proxy, url) == masked


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ("<a><password>S</password><b>1</b></a>", "<a><password>***</password><b>1</b></a>"),
        ('<?xml version="1.0"?>\n<ns:Token>S</ns:Token>', '<?xml version="1.0"?>\n<ns:Token>***</ns:Token>'),
        ("<pin><![CDATA[S]]></pin>", "<pin>***"),
        ("<secret><x>S</x></secret><y>1</y>", "<secret>***</secret><y>1</y>"),
        ("<secret><secret>S</secret>S</secret><y/>", "<secret>***"),
        ('<user password="S" name="x"/>', '<user password="***" name="x"/>'),
        ("<user apiKey = 'S>S' name='x'>a</user>", "<user apiKey ='***' name='x'>a</user>"),
        ('<token type="x">S', '<token type="x">***'),
        ('<a password="S', "<a ***"),
        ('<field name="pin" value="S"/>', "<field ***/>"),
        ('<field value="S" name="pin">S</field>', "<field ***>***</field>"),
        ('<field otp="1" name="pin" value="S" id="2">S</field><b>1</b>', "<field ***>***</field><b>1</b>"),
        ("<login password=S user='x'/>", "<login password=***'/>"),
        ("<token/><b>1</b>", "<token/><b>1</b>"),
        ('<p><a href="/?token=S" id="1">x</a></p>', '<p><a href="/?token=***" id="1">x</a></p>'),
        ("<p><a href='/?a=1&amp;token=S'>x</a></p>", "<p><a href='/?a=1&amp;token=***'>x</a></p>"),
        ('<a alt="pin: 1S" id="1">x</a>', '<a alt="pin:***" id="1">x</a>'),
        ('<p>token=a"S</p><b>x</b>', "<p>token=***</p><b>x</b>"),
        ("<key>password</key><string>S</string><a>1</a>", "<key>password</key><string>***</string><a>1</a>"),
        ("<name> pin </name><value><i4>S</i4></value>", "<name> pin </name><value>***</value>"),
        ("<name>jane</name><value>kept</value>", "<name>jane</name><value>kept</value>"),
        ("<a>&lt;password&gt;S&lt;/password&gt;</a>", "<a>***</a>"),
        ("<a>&amp;lt;pin&amp;gt;S</a>", "<a>***</a>"),
        ("<a>&#x3c;pin&#x3e;S</a>", "<a>***</a>"),
        ("<a><pin>S</pin><b>x &lt; y &amp; z</b></a>", "<a><pin>***</pin><b>x &lt; y &amp; z</b></a>"),
    ],
)
def test_xml_elements_and_attributes_are_masked(proxy, body, masked):
    assert shown(proxy, body.replace("S", SECRET), "application/xml") == masked


MULTIPART = (
    '--b0\r\nContent-Disposition: form-data; name="user"\r\n\r\njane\r\n'
    '--b0\r\nContent-Disposition: form-data; name="password"\r\n\r\nS\r\n'
    '--b0\r\nContent-Disposition: form-data; name="meta"\r\n'
    'Content-Type: application/json\r\n\r\n{"token":"S","a":1}\r\n--b0--\r\n'
)


def test_multipart_parts_are_masked_by_name_and_by_content(proxy):
    assert shown(
        proxy, MULTIPART.replace("S", SECRET), "multipart/form-data; boundary=b0"
    ) == MULTIPART.replace("\r\n\r\nS\r\n", "\r\n\r\n***\r\n").replace('"S"', '"***"')


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_a_text_in_another_unicode_encoding_is_masked_whole_where_it_has_a_secret(proxy, encoding):
    secret, harmless = f'{{"password":"{SECRET}"}}'.encode(encoding), '{"a":"b"}'.encode(encoding)
    assert shown(proxy, secret, "application/json") == "***"
    assert shown(proxy, harmless, "application/json").replace("\0", "").endswith('{"a":"b"}')


def test_a_multipart_cut_off_in_a_secret_part_shows_none_of_it(proxy):
    body = MULTIPART.replace("S", SECRET)
    cut = body[: body.index(SECRET) + 4]
    assert SECRET[:3] not in shown(proxy, cut, "multipart/form-data; boundary=b0")


@pytest.mark.parametrize(
    "name",
    ['"password"', "password", ' "password"; filename=a', '"a\\"; password"', '"pass%77ord"'],
)
def test_a_part_is_found_secret_however_its_name_is_written(proxy, name):
    assert SECRET not in shown(proxy, MULTIPART.replace('"password"', name).replace("S", SECRET))


def test_an_extended_name_of_a_part_is_read(proxy):
    body = MULTIPART.replace('name="password"', "name*=UTF-8''password").replace("S", SECRET)
    assert SECRET not in shown(proxy, body)


def test_words_are_settings(start):
    proxy = start(redaction={"fields": ["iban", "birth date"]})
    assert shown(proxy, '{"iban":"S","birthDate":"S","password":"shown"}') == (
        '{"iban":"***","birthDate":"***","password":"shown"}'
    )


def test_without_redaction_bodies_and_urls_pass_as_they_are(start):
    proxy = start(redaction={"mode": "none"})
    body = f'{{"password":"{SECRET}"}}'
    assert shown(proxy, body) == body
    proxy.exchange([*GET[:1], (":path", "/a?token=x"), *GET[2:]])
    assert proxy.spans[-1]["http.target"] == "/a?token=x"


def test_a_secret_in_json_inside_of_eight_json_strings_is_masked(proxy):
    text = f'{{"password":"{SECRET}"}}'
    for _ in range(8):
        text = json.dumps({"a": text})
    assert SECRET not in shown(proxy, text)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    PLAIN | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def texts_in(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def say_secrets(proxy, texts):
    """Whether some texts are names of secrets, or secrets: Hypothesis also draws words of our sources."""
    pairs = json.dumps([[text, "x"] for text in texts])
    return shown(proxy, pairs) != pairs


@given(value=JSON, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_planted_field_is_masked_in_any_json_and_the_rest_is_kept(proxy, value, ascii_only, indent):
    def dump(planted):
        document = [value, {"x": value, "password": planted}]
        return json.dumps(document, ensure_ascii=ascii_only, indent=indent)

    text = shown(proxy, dump({"deep": [SECRET]}))
    assert SECRET not in text
    is_card = "***card***" in text  # a number of the generated ones may be one
    if is_card or any(sign in json.dumps(value) for sign in "=:<{"):
        return
    if not say_secrets(proxy, texts_in(value)):
        assert json.loads(text) == json.loads(dump({"deep": ["***"]}))


ITEMS = st.lists(PLAIN | st.sampled_from(["x", "", "a ] b"]) | st.lists(PLAIN), max_size=4)


@given(name=st.sampled_from(["pin", "SMSCODE"]), items=ITEMS, indent=st.sampled_from([None, 1]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_follows_a_list_with_the_name_of_a_secret_is_kept(proxy, name, items, indent):
    document = [[name, *items], {"x": [name, *items]}, "end"]
    text = shown(proxy, json.dumps(document, indent=indent))
    [first, *rest] = json.loads(text)
    assert first[0] == name
    if "***card***" not in text:
        assert rest == document[1:]


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "a",
            '"',
            "\\",
            "{",
            "[",
            "<",
            "<a",
            "<a ",
            "'",
            '<a b="',
            "=",
            "&",
            ":",
            "a:",
            "%41",
            "a=",
            "--\r\n",
            " ",
        ),
        *(
            '{"a":',
            '"a":"',
            '{"a":"{',
            "<password>",
            '\\"',
            "\\u0061",
            "\xff",
            "-",
            "a.b-c_",
            ">",
            '"a" ',
            "]:",
            "//",
            "//@",
            "password=",
            "</password>",
            "<password></password>",
            '"password":',
            "\n--x",
            "--x\r\n\r\n",
            'name="',
            "=%",
            '{"password":{',
            '<pin x="',
            '"\\u003d"',
            "&lt;",
            "&amp;",
            "&amp;amp;lt;<a>",
            "<name>",
            '"name":"',
            '{"name":"pin","value":',
            '"&amp;=&lt;"',
            "pin:</b><i ",
        ),
    ],
)
def test_hostile_bodies_are_read_in_linear_time(start, unit):
    # A quadratic scan of this size runs into the timeout of a test.
    size = 262_144
    proxy = start(max_body_bytes=size)
    for prefix in ("", "{", "<", "<a ", '{"a":"', "--x", '--b\r\nname="x"\r\n\r\n', "a="):
        shown(proxy, (prefix + unit * size)[:size].encode("latin-1"))
    assert proxy.warnings == []


@pytest.mark.parametrize(
    "body",
    [
        # A value that ends otherwise than a value does.
        '{"password":"ab"cdS"}',
        '{"password":"a"+"S"}',
        '{"password":ab,S}',
        '{"secret":[1,2}S]}',
        '{"password":"ab",5,S"}',
        '[["password","ab",5S"]]',
        '[["password","ab",nullS"]]',
        "user=x&password=Str0ng#S?1",
        "password=ab;S&x=1",
        # Names and signs that show once they are decoded.
        "%7B%22password%22%3A%22S%22%7D&a=1",
        "password%3dS&x=1",
        '<a href="/x?pass%77ord=S">',
        "<x>user%5Bpassword%5D=S</x>",
        '<div d="{&#34;password&#34;:&#34;S&#34;}"/>',
        '{"a":"&#x70;in=S"}',
        '<script>parse("{\\u0022password\\u0022:\\u0022S\\u0022}")',
        '<script>x={"pass\\u0077ord":"S"}',
        # What stands between a name and its value.
        '{"a":1,"password"/**/:"S"}',
        "user[password]: S",
        "{['password']: 'S'}",
        "{password: '***S'}",
        "password: *** S",
        # Keys that are texts, and pairs.
        '{"{\\"password\\":\\"S\\"}":""}',
        '{"password=S":1}',
        '{"name":"password","type":{"name":"Text"},"value":"S"}',
        '{"op":"replace","path":"/password","value":"S"}',
        "<Name>password</Name><Value>S</Value>",
        '<input name="user[password]" value="S">',
        # Tags that are none.
        "<password><![CDATA[</password>S]]></password>",
        "<password><!-- </password> -->S</password>",
        '{"id":"password","value":"S"}',
        '{"NAME":"password","VALUE":"S"}',
        '<token value="S"/>',
        '<meta name="csrf-token" content="S">',
        # Quotes and escapes.
        'pwd="a&S"',
        "{'api key': 'S'}",
        '{\'a\':\'x"y\',"password":"S"}',
        '{"a":"b\\\\","password":"S"}',
        '{"b":"password\\\\u003dS"}',
        "&LT;pin&GT;S",
        "p%2561ssword=S",
        '{"dsn":"redis://u:pa,S@h"}',
        "redis://u:pa'S@h",
        'x="https:\\/\\/u:S@h"',
        "p%u0061ssword=S",
        '{"query":"mutation{login(\\u043f\\u0430\\u0440\\u043e\\u043b\\u044c: \\"S\\")}"}',
        '{"note":"<r contrase\\u00f1a=\\"S\\"><contrase\\u00f1a>S</contrase\\u00f1a></r>"}',
        "<note>data=%7B%22value%22%3A+%22S%22%2C+%22key%22%3A+%22password%22%7D&amp;z=2</note>",
        '{"a":"{\\"\\\\u0074\\\\u006f\\\\u006b\\\\u0065\\\\u006e\\":\\"S\\"}"}',
        # What escapes hide, and a value that stands behind it.
        '{"a":"\\u003cpassword value=\\"S\\"/\\u003e"}',
        'password%3D"S"',
        'a=1&b=password%3D"S"&c=2',
        "<p>password&#61;<b>S</b></p>",
        'x = {"password\\u0022: "S"}',
        # Values that only look as if they had ended.
        '{"secret":{"a":{},"b":"S"',
        '{"secret":["[","S"',
        "password: ab)cS",
        'password = "a" + "S"',
        '"user: jane\napp_key: "S"\n',
        '{"name":"password","note":"}","value":"S"}',
        # Heads of parts.
        MULTIPART.replace('name="password"', 'name="a"\r\nx: y; name="password"'),
        MULTIPART.replace('name="password"', 'name=\r\n "password"'),
        '\ufeff--b0\r\nContent-Disposition: form-data; name="pin"\r\n\r\nS\r\n--b0--',
        "<a>--b0\r\nContent-Disposition: form-data; name=&quot;pin&quot;\r\n\r\nS\r\n--b0--</a>",
    ],
)
def test_no_form_hides_a_secret(proxy, body):
    assert SECRET not in shown(proxy, body.replace("S", SECRET))


@pytest.mark.parametrize(
    "body",
    [
        '{"text":"a<b and c"}',
        "a<b and c",
        "a=b=c=d=e=f",
        '<form><input type="password"><p>welcome</p></form>x=1',
        '{"path":"C:\\\\","user":"x"}',
        '[{"value":1,"name":"a"},{"name":"b","value":"{"}]',
        '<option value="1" selected>a%20b</option>',
    ],
)
def test_what_only_looks_like_a_secret_is_kept(proxy, body):
    assert shown(proxy, body) == body


@pytest.mark.parametrize("name", ["password", r"\\u0070assword"])
def test_escaped_white_space_may_stand_before_the_colon_of_json_in_a_string(proxy, name):
    body = rf"""{{"a": ["{{\"{name}\" \n\t: \r\n \"hunter2\"}}"]}}"""
    assert shown(proxy, body) == rf"""{{"a": ["{{\"{name}\" \n\t:\"***\"}}"]}}"""


def test_what_is_masked_is_not_masked_again_for_an_escape_elsewhere(proxy):
    body = "// &#733; Double Acute\nvar tokens = [1];\nvar part = null;"
    assert shown(proxy, body) == body.replace(" [1]", "***")


def test_the_rest_of_a_json_text_is_kept_after_a_secret_in_a_string(proxy):
    body = '{"error":"invalid token: S","url":"/?token=S","user":"jane"}'.replace("S", SECRET)
    assert shown(proxy, body) == '{"error":"invalid token:***","url":"/?token=***","user":"jane"}'


@pytest.mark.parametrize("name", ["host", "origin", "x-forwarded-host"])
def test_user_information_of_hosts_is_masked(proxy, name):
    start = "https://" if name == "origin" else ""
    headers = [line for line in GET if (line[0], name) != (":authority", "host")]
    line = (":authority" if name == "host" else name, f"{start}jane:{SECRET}@h:80")
    proxy.exchange([*headers, line])
    assert proxy.span.headers("request")[name] == f"{start}***@h:80"
    assert SECRET not in proxy.span["http.host"]


@pytest.mark.parametrize("name", [":authority", "x-forwarded-host"])
@pytest.mark.parametrize(
    ("host", "masked"),
    [
        ("4242424242424242", "***card***"),
        ("ghp_" + "a1B2" * 9 + ":80", "***key***:80"),
        ("Bearer mF_9.B5f-4.1JqM", "Bearer ***"),
        ("token.example.com:8080", "token.example.com:8080"),
        ("auth:8080", "auth:8080"),
    ],
)
def test_a_host_that_shows_what_it_is_is_masked_and_a_name_in_it_is_kept(proxy, name, host, masked):
    proxy.exchange([line for line in GET if line[0] != name] + [(name, host)])
    assert proxy.span.headers("request")["host" if name == ":authority" else name] == masked


@pytest.mark.parametrize(
    "target",
    [
        "/a?password=ab?S",
        "/a?password=ab;S",
        "/a?%7B%22password%22%3A%22S%22%7D&_=1",
        '/a?{"password":"S"}',
        '/a?q={"a":"x;y","password":"S"}',
        "/a?data%255Bpassword%255D=S",
    ],
)
def test_no_form_of_a_url_hides_a_secret(proxy, target):
    proxy.exchange([*GET[:1], (":path", target.replace("S", SECRET)), *GET[2:]])
    assert SECRET not in proxy.span["http.target"]


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ('{"a":"x%3D1&b=token%3DS&c=%20","note":"a%20b"}', '{"a":"x%3D1&b=***&c=%20","note":"a%20b"}'),
        ("<a>token&#61;S</a><b>x &lt; y</b>", "<a>***</a><b>x &lt; y</b>"),
        ('{"a":"pin\\u003dS\\u0026b","b":"\\u003c"}', '{"a":"***","b":"\\u003c"}'),
        ("a=%26&next=%2Fx%3Ftoken%3DS%3D%3D&page=1", "a=%26&next=***&page=1"),
    ],
)
def test_of_escaped_text_the_run_goes_that_hides_a_secret(proxy, body, masked):
    assert shown(proxy, body.replace("S", SECRET)) == masked


def test_of_many_escaped_runs_no_secret_leaves(proxy):
    runs = [f"a{number}=%20" for number in range(1000)]
    text = "&".join([*runs, f"b=token%3D{SECRET}", "c=shown"])
    assert SECRET not in shown(proxy, text)
    assert shown(proxy, text).startswith("a0=%20&a1=%20&")
    assert shown(proxy, text).endswith("&c=shown")


def test_of_many_escaped_runs_in_many_headers_no_secret_leaves(proxy):
    value = "&".join([*(f"a{number}=%20" for number in range(60)), f"b=token%3D{SECRET}"])
    names = ["origin", "referer", "user-agent", "accept", "x-forwarded-for", "if-match", "if-none-match"]
    proxy.exchange([*GET, *((name, value) for name in names)])
    headers = proxy.span.headers("request")
    assert SECRET not in str(headers)
    assert headers["origin"] == value.replace(f"token%3D{SECRET}", "***")
    assert headers["if-none-match"] == "***"


def test_an_escaped_letter_of_broken_json_is_left_alone(proxy):
    body = '{"a":undefined,"b":"caf\\u00e9"}'
    assert shown(proxy, body) == body


@pytest.mark.parametrize("body", ['{"a": 1}', '{"pin": "1234"}', "token=abc&page=1"])
def test_a_body_is_shown_alike_when_it_comes_again(proxy, body):
    first = shown(proxy, body)
    shown(proxy, '{"b": 2}')
    assert shown(proxy, body) == first


def test_harmless_bodies_are_remembered_within_bounds(start):
    proxy = start(cluster=False)  # the fake keeps what is exported

    def memory_after(numbers):
        for number in numbers:
            proxy.exchange(sent=[f"{number:08}".encode() * 4000])
        proxy.collect_garbage()
        return proxy.memory

    before = memory_after(range(40))
    assert memory_after(range(40, 140)) - before < 400_000
