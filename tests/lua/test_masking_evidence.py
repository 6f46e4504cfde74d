"""What is masked by its name and by its value, and what is kept: texts that once failed, and their kin."""

import itertools
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.istio import script
from components.settings.models import Capture, Direction
from lab.fuzz.shapes import FORMS, UNITS, Text
from tests.lua.fake_envoy import COLLECTOR, GET, OK, SENSOR_ID, Proxy

SECRET = "s3cr3t-Value"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx\nq83T5w==\n-----END RSA PRIVATE KEY-----"
SPACED_JWT = (
    "eyAidHlwIjogIkpXVCIsICJhbGciOiAiSFMyNTYiIH0.eyAic3ViIjogIjEiIH0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
)
JWE = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..zWgYFf1dIXlKsZTC.QVU3QlF4Zk1ZV0F0.MZ2ZIDhkYmM0Zg"
STRIPE = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"


def shown(proxy, body, content_type="text/plain"):
    """A body as the span shows it."""
    proxy.exchange(sent=[body.encode()], request=[*GET, ("content-type", content_type)])
    return proxy.spans[-1]["http.request.body"]


def target(proxy, path):
    """A path as the span shows it."""
    proxy.exchange([*GET[:1], (":path", path), *GET[2:]])
    return proxy.spans[-1]["http.target"]


@pytest.mark.parametrize(
    "name",
    [
        *("appsecret", "usertoken", "corpsecret", "userpwd", "dbpasswd", "myapikey", "usertokens"),
        *("auth", "ticket", "creditCard", "card_num", "pan", "social-security-number", "recoveryCode"),
        *("backup_code", "verificationCode", "twoFactorCode", "mnemonic", "privkey", "privKey", "pw", "psw"),
        *("consumer_key", "appKey", "hmac", "mypin", "smsotp", "dbPass", "userpass", "mycreds"),
        *("密码", "用户密码", "пароль", "Пароль", "ПАРОЛЬ", "senha", "Passwort", "contraseña", "CONTRASEÑA"),
        *("mot de passe", "motDePasse", "パスワード", "mdp", "contrasena", "lösenord", "LÖSENORD", "Şifre"),
        *("bindpw", "rootpw", "pswd", "userpswd", "mpin", "cardCode", "reset_code", "emailCode"),
        *("sessionkey", "tokenvalue", "tokenid", "otpcode", "totpcode", "hmackey", "pannumber", "csrfvalue"),
        *("cookievalue", "authheader", "secretdata", "cvvcode", "clientkey", "client-key-data"),
        *("application_key", "decryptionKey", "confirmation_code", "гасло", "slaptažodis", "kata_sandi"),
        *("parola", "κωδικός", "токен", "סיסמה", "كلمة المرور", "पासवर्ड", "รหัสผ่าน", "用户口令", "암호"),
        *(
            "smsCode",
            "loginCode",
            "activation_code",
            "2fa_code",
            "authcode",
            "tls_key",
            "sharedKey",
            "stripe_key",
        ),
        *("SENDGRID_KEY", "maps-key", "x-functions-key", "验证码", "lozinka", "geslo", "jelszo"),
        *("seedPhrase", "one_time_code", "ssh-key", "psk", "masterKey", "ccv", "security answer"),
    ],
)
def test_a_name_is_secret_in_any_form(proxy, name):
    for text in (json.dumps({name: SECRET, "a": 1}), json.dumps({name: SECRET, "a": 1}, ensure_ascii=False)):
        assert SECRET not in shown(proxy, text)
        assert '"a": 1' in shown(proxy, text)
    assert shown(proxy, f"{name.replace(' ', '+')}={SECRET}&a=1").endswith("=***&a=1")


@pytest.mark.parametrize(
    "name",
    [
        *("compass", "bypass", "timespan", "colspan", "japan", "spin", "possession", "obsession", "author"),
        *("authority", "passenger", "tokenizer", "monkey", "cardinal", "ticketing", "keyboard"),
        *("ticketid", "ticketnumber", "pinstriped", "passive", "panorama", "signatures_count"),
    ],
)
def test_an_ordinary_word_that_ends_like_a_secret_is_kept(proxy, name):
    text = json.dumps({name: SECRET})
    assert shown(proxy, text) == text


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ('{"card":{"number":"S","name":"jane"}}', '{"card":{"number":"***","name":"jane"}}'),
        (
            '{"cards":[{"brand":"x","number":"S"}],"number":7}',
            '{"cards":[{"brand":"x","number":"***"}],"number":7}',
        ),
        ('{"api":{"key":"S"}}', '{"api":{"key":"***"}}'),
        ('{"socialSecurity":{"number":"S"}}', '{"socialSecurity":{"number":"***"}}'),
        ('{"social":{"security_number":"S"}}', '{"social":{"security_number":"***"}}'),
        ('{"myCard":{"number":"S"}}', '{"myCard":{"number":"***"}}'),
        ('{"access":{"key":"S"}}', '{"access":{"key":"***"}}'),
        (
            "<card><number>S</number></card><number>7</number>",
            "<card><number>***</number></card><number>7</number>",
        ),
        ('{"name":"password","values":["S"]}', '{"name":"password","values":"***"}'),
        ('{"value":"S","name":"password"}', '{"value":"***","name":"password"}'),
        (
            '{"ParameterKey":"DBPassword","ParameterValue":"S"}',
            '{"ParameterKey":"DBPassword","ParameterValue":"***"}',
        ),
        ("ParameterKey=DBPassword&ParameterValue=S", "ParameterKey=DBPassword&ParameterValue=***"),
        ('{"key":"password","old":"S","new":"S"}', '{"key":"password","old":"***","new":"***"}'),
        ('{"field":"pin","oldValue":"S"}', '{"field":"pin","oldValue":"***"}'),
        ('{"field":"pin","newString":"S"}', '{"field":"pin","newString":"***"}'),
        ('}{"name":"pin","value":"S"}', '}{"name":"pin","value":"***"}'),
        ("{'password':['x]',\"S\"],'a':1}", "{'password':'***','a':1}"),
        ("\ufeffpin=1&a=1", "\ufeffpin=***&a=1"),
        ('{"column_name":"pin","previous":"S"}', '{"column_name":"pin","previous":"***"}'),
        ('{"displayName":"PIN","input":"S"}', '{"displayName":"PIN","input":"***"}'),
        ('{"name":"db.user.password","value":"S"}', '{"name":"db.user.password","value":"***"}'),
        ('{"type":"smtp.password","value":"S"}', '{"type":"smtp.password","value":"***"}'),
        ("<type>db.password</type><value>S</value>", "<type>db.password</type><value>***</value>"),
        ("Clave (contrasena): S", "Clave (contrasena):***"),
        ("password: abc}{S", "password:***"),
        ("password: ]{S", "password:***"),
        (r"curl --user \admin:S", "curl --user ***"),
        ('{"api":{"key:prod":"S"}}', '{"api":{"key:***":"***"}}'),
        ('{"PIN no.":1234,"pin#":12,"a":1}', '{"PIN no.":"***","pin#":"***","a":1}'),
        ('{"OutputKey":"DbToken","OutputValue":"S"}', '{"OutputKey":"DbToken","OutputValue":"***"}'),
        (
            "<OutputKey>Token</OutputKey><OutputValue>S</OutputValue>",
            "<OutputKey>Token</OutputKey><OutputValue>***</OutputValue>",
        ),
        ('{"env_var":"TOKEN","value":"S"}', '{"env_var":"TOKEN","value":"***"}'),
        ('{"tagKey":"token","tagValue":"S"}', '{"tagKey":"token","tagValue":"***"}'),
        ('{"var_name":"TOKEN","var_value":"S"}', '{"var_name":"TOKEN","var_value":"***"}'),
        ('{"argName":"pin","value":"S","entryKey":"a"}', '{"argName":"pin","value":"***","entryKey":"a"}'),
        ('{"var":"TOKEN","val":"S"}', '{"var":"TOKEN","val":"***"}'),
        ('{"name":"token","vals":["S"]}', '{"name":"token","vals":"***"}'),
        ('<A FriendlyName="password"><b>S</b></A><b>1</b>', "<A ***>***</A><b>1</b>"),
        ('{"type":"password","value":"S"}', '{"type":"password","value":"***"}'),
        ('{"type":"password.","data":"S"}', '{"type":"password.","data":"***"}'),
        (
            '{"type":"auth.login","name":"token","data":"S"}',
            '{"type":"auth.login","name":"token","data":"***"}',
        ),
        ('{"kind":"Secret","data":{"a":"S"}}', '{"kind":"Secret","data":"***"}'),
        ('{"kind":"Secret","stringData":{"a":"S"}}', '{"kind":"Secret","stringData":"***"}'),
        ('{"k":"password","v":"S"}', '{"k":"password","v":"***"}'),
        ('{"meta_key":"pin","meta_value":"S"}', '{"meta_key":"pin","meta_value":"***"}'),
        (
            '{"loc":["body","password"],"msg":"too short","input":"S"}',
            '{"loc":["body","password"],"msg":"too short","input":"***"}',
        ),
        ("name[0]=password&value[0]=S", "name[0]=password&value[0]=***"),
        ("a[0][name]=password&a[0][value]=S", "a[0][name]=password&a[0][value]=***"),
        ('{"name":"password:","value":"S"}', '{"name":"password:","value":"***"}'),
        (
            '{"columns":["user","password"],"rows":[["jane","S"]],"page":1}',
            '{"columns":["user","password"],"rows":"***","page":1}',
        ),
        ("contents: read\nheaders:\n  pin: 12\na: 1", "contents: read\nheaders:\n  pin:***\na: 1"),
        ('[["user","jane"],["password","S"]]', '[["user","jane"],["password","***"]]'),
        ('[ [ "user", "jane" ], [ "password", "S" ] ]', '[ [ "user", "jane" ], [ "password","***" ] ]'),
        ('[\n  [\n    "pin",\n    "S"\n  ],\n  1\n]', '[\n  [\n    "pin","***"\n  ],\n  1\n]'),
        (
            r'{"a":"[\n  [\n    \"pin\",\n    1234\n  ], [\"a\", 1]]"}',
            r'{"a":"[\n  [\n    \"pin\",\"***\"], [\"a\", 1]]"}',
        ),
        ('{"h":[["a", 1], ["Cookie", "S"]]}', '{"h":[["a", 1], ["Cookie","***"]]}'),
        ('[["pin",1234],["a",1]]', '[["pin","***"],["a",1]]'),
        ("<p><b>Password:</b> S<br>x</p>", "<p><b>Password:***<br>x</p>"),
        ("<tr><th>PIN:</th>\n<td>S</td></tr><p>x</p>", "<tr><th>PIN:***</td></tr><p>x</p>"),
        ("<td><b>Password:</b></td>\n<td>S</td>", "<td><b>Password:***</td>"),
        ("<td>Password:</td><td><b>S</b></td>", "<td>Password:***</b></td>"),
        ("<td><b>Password:</b></td><!-- --><td><!-- -->S</td>", "<td><b>Password:***</td>"),
        ('<dt>Token:</dt><dd><p class="a"><code>S</code></p></dd>', "<dt>Token:***</code></p></dd>"),
        ("<div><b>Token:</b></div><div><div><p>S</p></div></div>", "<div><b>Token:***</p></div></div>"),
        (f"<p>PIN:</p><p><a style='{'a:b;' * 200}'>S</a></p>", "<p>PIN:***</a></p>"),
        ("query($p:Int){a(b:1,pin:$p){id}} query c{d}", "query($p:Int){a(b:1,pin:***){id}} query c{d}"),
        ('mutation{a(pin:1234){id}b(pin:"S"){x}}', 'mutation{a(pin:***){id}b(pin:"***"){x}}'),
        ('{"query":"{a(token:x1){id}}","a":1}', '{"query":"{a(token:***){id}}","a":1}'),
        ("value=S&name=password", "value=***&name=password"),
        ("<value>S</value><name>password</name>", "<value>***</value><name>password</name>"),
        (
            '[{"value":"v"},{"name":"password","value":"S"}]',
            '[{"value":"v"},{"name":"password","value":"***"}]',
        ),
        (
            '[{"value":1,"name":"a"},{"name":"pin","value":"S"}]',
            '[{"value":1,"name":"a"},{"name":"pin","value":"***"}]',
        ),
        (
            '{"value":"v","items":[{"name":"pin","value":"S"}]}',
            '{"value":"v","items":[{"name":"pin","value":"***"}]}',
        ),
        ('{"key":"pin","value":"S","content":"S"}', '{"key":"pin","value":"***","content":"***"}'),
        ("name=a&value=1&name=pin&value=S", "name=a&value=1&name=pin&value=***"),
        ("value=1&name=a&value=S&name=pin", "value=1&name=a&value=***&name=pin"),
        ("value=S&name=pin&value=2&name=a", "value=***&name=pin&value=2&name=a"),
        ("value=1&name=a&name=password&value=S", "value=***&name=a&name=password&value=***"),
        ("Card Number: S", "Card Number:***"),
        ("Your password is: S", "Your password is:***"),
        ("user: a\nPassword (required): x\nb: 1", "user: a\nPassword (required):***\nb: 1"),
        ('{"m":"Card Number (optional): 12","b":1}', '{"m":"Card Number (optional):***","b":1}'),
        ("<td>API key (hashed) :</td><td>x</td>", "<td>API key (hashed) :***</td>"),
        ("Personal Number (PIN): 12", "Personal Number (PIN):***"),
        ("PIN (optional)=12&a=1", "PIN (optional)=***&a=1"),
        ("`token`: S", "`token`:***"),
        ("- `Card Number`: S", "- `Card Number`:***"),
        ("_Card Number_: S", "_Card Number_:***"),
        ("Card No.: S", "Card No.:***"),
        ("SSN #: S", "SSN #:***"),
        ("Your one-time code: S", "Your one-time code:***"),
        ("Two-factor code: S", "Two-factor code:***"),
        (r'{"m":"name: password\nvalue: S1","a":1}', r'{"m":"name: password\nvalue:***","a":1}'),
        (r'{"a":"- name: contrase\u00f1a\n  value: S1\n"}', r'{"a":"- name: contrase\u00f1a\n  value:***"}'),
        ("name=\\u0070assword&value=S1&a=1", "name=\\u0070assword&value=***&a=1"),
        ("name=DOMAIN\\password&value=S1&a=1", "name=DOMAIN\\password&value=***&a=1"),
        (r'{"m":"M\u1eadt kh\u1ea9u: S1","a":1}', r'{"m":"M\u1eadt kh\u1ea9u:***","a":1}'),
        (r'{"m":"\u5bc6\u7801\uff1aS1","a":1}', '{"m":"***","a":1}'),
        (r'{"x":"<param name=\"pin\">S1<\/param>","a":1}', '{"x":"<param ***>***","a":1}'),
        ("“api key: S", "“api key:***"),
        ("Nhập mật khẩu: S", "Nhập mật khẩu:***"),
        ('{"m":"كلمة المرور: x1"}', '{"m":"كلمة المرور:***"}'),
        ('<param name="password">S</param><b>1</b>', "<param ***>***</param><b>1</b>"),
        ('<param name="pin" value="1"><b>1</b>', "<param ***><b>1</b>"),
        ("<\n\tpassword>S</\n\tpassword><b>1</b>", "<\n\tpassword>***"),
        ("< password>S</password><b>1</b>", "< password>***</password><b>1</b>"),
        (
            '<Attribute Name="urn:x:password"><AttributeValue>S</AttributeValue></Attribute>',
            "<Attribute ***>***</Attribute>",
        ),
    ],
)
def test_names_that_are_told_around_a_value_are_read(proxy, body, masked):
    assert shown(proxy, body.replace('"S"', f'"{SECRET}"').replace("S<", f"{SECRET}<")) == masked


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("\n    old: S\n    new: S", "***"),
        ("\n    - a: S\n      b: S", "***"),
        ("\n  - S\n  - S", "***"),
        (" |\n    a: S\n    b: S", "***"),
        (" S\n  # a comment", "***"),
    ],
)
def test_in_yaml_all_lines_go_that_are_indented_deeper_than_a_secret_name(proxy, value, masked):
    body = "a:\n  password:{}\n  b: 1\nc: 2\n"
    assert shown(proxy, body.format(value.replace("S", SECRET))) == body.format(masked)


@pytest.mark.parametrize(
    "body",
    [
        *("<card><type/><number>{}</number></card>", '<card><x a="b" /><number>{}</number></card>'),
        *("<card><!-- a --><number>{}</number></card>", "<card><?a b?><number>{}</number></card>"),
        *("<card><![CDATA[a]]><number>{}</number></card>", "<card><br><number>{}</number></card>"),
        *("<card><a >1</a ><number>{}</number></card>", "<card><A>1</a><number>{}</number></card>"),
        *(
            "<CARD><A>1</a><NUMBER>{}</NUMBER></card>",
            "<social><x/><security_number>{}</security_number></social>",
        ),
        *("<ns:card><ns:number>{}</ns:number></ns:card>", "<a:api><b:key>{}</b:key></a:api>"),
        *(
            "<card><a:number>{}</a:number></card>",
            "<a:social-security><a:number>{}</a:number></a:social-security>",
        ),
        "<card>" + "<br>" * 40 + "<number>{}</number></card>",
        "<a>" + "<br>" * 40 + "<card><number>{}</number></card></a>",
        "<card>" + "".join(f"<x{at}>" for at in range(40)) + "<y><api><key>{}</key></api></y></card>",
    ],
)
def test_an_element_owns_the_names_behind_what_has_no_end_tag(proxy, body):
    assert shown(proxy, body.format(SECRET)) == body.format("***")


@pytest.mark.parametrize(
    "body",
    [
        "<card/><number>7</number>",
        "<card><holder><number>7</number></holder></card>",
        "<card><br><holder><number>7</number></holder></card>",
        "<ns:card><ns:holder><ns:number>7</ns:number></ns:holder></ns:card><ns:number>7</ns:number>",
        '<svg><path d="M1 2"/><g key="a"/></svg><access/><key>a</key>',
    ],
)
def test_an_element_owns_no_names_of_others(proxy, body):
    assert shown(proxy, body) == body


@pytest.mark.parametrize("path", ["/a?appsecret=S", "/a?auth=S", "/a?ticket=S"])
def test_parameters_with_such_names_are_masked(proxy, path):
    assert target(proxy, path.replace("S", SECRET)) == path.replace("S", "***")


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        (JWT, "***jwt***"),
        (JWE, "***jwt***"),
        (SPACED_JWT, "***jwt***"),
        (SPACED_JWT[: SPACED_JWT.rindex(".")], "***jwt***"),
        (PEM, "***key***"),
        ("4242424242424242", "***card***"),
        ("4242 4242 4242 4242", "***card***"),
        ("3782-822463-10005", "***card***"),
        ("30569309025904", "***card***"),
        (STRIPE, "***key***"),
        ("AKIAIOSFODNN7EXAMPLE", "***key***"),
        ("AKIAQWERTYUIOPLKJHGF.", "***key***"),
        ("pat-na1-aaaaaaaa-1111-4222-8333-abcdefabcdef", "***key***"),
        ("ghp_" + "a1B2" * 9, "***key***"),
        ("xoxb-123456789012-abcdef", "***key***"),
        ("glptt-" + "0a1b" * 10, "***key***"),
        ("shpss_" + "0a1b" * 8, "***key***"),
        ("pul-" + "0a1b" * 10, "***key***"),
        ("r8_" + "a1B2" * 9 + "c", "***key***"),
        ("sbp_" + "0a1b" * 10, "***key***"),
        ("pscale_pw_" + "a1B2" * 8, "***key***"),
        ("sq0csp-" + "a1B2" * 10 + "c3d", "***key***"),
        ("doo_v1_" + "0a1b" * 16, "***key***"),
        ("dor_v1_" + "0a1b" * 16, "***key***"),
        ("gloas-" + "0a1b" * 16, "***key***"),
        ("hvb." + "a1B2" * 35, "***key***"),
        ("pplx-" + "a1B2" * 12, "***key***"),
        ("rubygems_" + "0a1b" * 12, "***key***"),
        ("xai-" + "a1B2" * 20, "***key***"),
        ("xkeysib-" + "0a1b" * 16 + "-" + "a1B2" * 4, "***key***"),
        # Their signs are those of other prefixes, or they have none.
        ("gsk_" + "a1B2" * 13, "***key***"),
        ("nvapi-" + "a1B2" * 16, "***key***"),
        ("PMAK-" + "0a1b" * 6 + "-" + "0a1b" * 8 + "0a", "***key***"),
        ("pat-na1-550e8400-e29b-41d4-a716-446655440000", "***key***"),
        ("ATATT3xFfGF0" + "a1B2" * 44, "***key***"),
        ("pat-eu1-550e8400-e29b-41d4-a716-446655440000", "***key***"),
        ("sq0atp-" + "a1B2" * 5 + "c3", "***key***"),
        ("lin_oauth_" + "0a1b" * 16, "***key***"),
        ("glc_" + "a1B2" * 20, "***key***"),
    ],
)
def test_a_value_that_shows_what_it_is_is_masked_under_any_name(proxy, value, masked):
    assert json.loads(shown(proxy, json.dumps({"data": value, "a": [value, 1]}))) == {
        "data": masked,
        "a": [masked, 1],
    }
    assert shown(proxy, f"<a>{value}</a>") == f"<a>{masked}</a>"
    assert shown(proxy, f"memo={value}&a=1") == f"memo={masked}&a=1"
    proxy.exchange([*GET, ("user-agent", value.replace("\n", " "))])
    assert proxy.spans[-1].headers("request")["user-agent"] == masked


@pytest.mark.parametrize("word", ["pinned", "span"])
@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("after", range(7))
def test_no_word_is_read_that_only_the_limit_of_a_name_makes(proxy, word, before, after):
    # Where it is cut within a word, `pin` or `pan` would be left.
    body = "'" + "x" * before + f" {word}" * 60 + "x" * after + "':1"
    assert shown(proxy, body) == body


@pytest.mark.parametrize("value", [JWT, "4242424242424242", STRIPE])
def test_a_segment_of_a_path_that_shows_what_it_is_is_masked(proxy, value):
    assert target(proxy, f"/reset/{value}/x").startswith("/reset/***")
    assert target(proxy, f"/reset/{value}/x").endswith("***/x")


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ('{"memo":"card 4242 4242 4242 4242 thanks"}', '{"memo":"card ***card*** thanks"}'),
        ('{"memo":"4242 4242 4242 4242 12/28"}', '{"memo":"***card*** 12/28"}'),
        ('{"n":4242424242424242,"m":-4242424242424242}', '{"n":"***card***","m":"***card***"}'),
        ("[4242424242424242]", '["***card***"]'),
        ("[4242424242424242,4242424242424242]", '["***card***","***card***"]'),
        (r'{"a":"\u53f74242424242424242\uff0c"}', r'{"a":"\u53f7***card***\uff0c"}'),
        (r'{"a":"\u00a04242424242424242"}', r'{"a":"\u00a0***card***"}'),
        (r'{"a":"\u201cAKIAIOSFODNN7EXAMPLE\u201d"}', r'{"a":"\u201c***key***\u201d"}'),
        (r'{"b":"{\"b\":\"https:\\/\\/u:S@h\\/x\"}"}', r'{"b":"{\"b\":\"https:\\/\\/***@h\\/x\"}"}'),
        (r'{"a":"\/\/u:S@h","b":"http:/\/u:S@h"}', r'{"a":"\/\/***@h","b":"http:/\/***@h"}'),
        (
            "-----BEGIN PRIVATE KEY----- (below) -----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----",
            "***key***",
        ),
        ("x=-----BEGIN+PRIVATE+KEY-----%0AMII%2F-----END+PRIVATE+KEY-----&a=1", "x=***key***&a=1"),
        (
            "<x>-----BEGIN PGP PRIVATE KEY-----\nVersion: 2.0 (Linux)\n\nlQ/+\n-----END-----</x><a>1</a>",
            "<x>***key***</x><a>1</a>",
        ),
        ('{"log":"sent Bearer mF_9.B5f-4.1JqM"}', '{"log":"sent Bearer ***"}'),
        ('{"log":"sent bearer  mF_9.B5f-4.1JqM"}', '{"log":"sent bearer  ***"}'),
        ("curl -u jane:hunter2 https://h", "curl -u *** https://h"),
        ("curl -u AKIAIOSFODNN7EXAMPLE:hunter2 https://h", "curl -u ***key*** https://h"),
        ('{"kty":"EC","x":"f83O","d" : "jpsQ","kid":"1"}', '{"kty":"EC","x":"f83O","d" : "***","kid":"1"}'),
        (
            '{"a":"{\\"k\\":\\"jps\\",\\"kty\\":\\"oct\\"}"}',
            '{"a":"{\\"k\\":\\"***\\",\\"kty\\":\\"oct\\"}"}',
        ),
        ('{"dsn":"jane:a@b:c/d@tcp(db:3306)/shop"}', '{"dsn":"***@tcp(db:3306)/shop"}'),
        (f'{{"text":"see {JWT} there"}}', '{"text":"see ***jwt*** there"}'),
        (f'{{"text":"use {STRIPE}, or:\\n{STRIPE}"}}', '{"text":"use ***key***, or:\\n***key***"}'),
        ('{"a":"{\\"n\\":4242424242424242}"}', '{"a":"{\\"n\\":\\"***card***\\"}"}'),
        ("card No.4242424242424242", "card No.***card***"),
        ('{"log":"sent Bearer\t a1b2c3"}', '{"log":"sent Bearer\t ***"}'),
        ('{"log":"sent BEARER a1"}', '{"log":"sent BEARER ***"}'),
        ("q=1&header=Bearer+a1b/2&page=1", "q=1&header=Bearer+***&page=1"),
        (r'{"log":"sent Bearer\ta1b2c3","a":1}', '{"log":"sent Bearer***","a":1}'),
        (r'{"log":"sent bearer \tta1/b2"}', '{"log":"sent bearer ***"}'),
        (r'{"log":"BEARER\t.a1, and"}', '{"log":"BEARER***, and"}'),
        ("header=Bearer+x1+is+it", "header=Bearer+***+is+it"),
        ("header=Bearer+x1%2By2%3D&page=1", "header=Bearer+***&page=1"),
        ("header=Bearer+x%2By2%3D&page=1", "header=***&page=1"),
        ("q=1&header=Bearer%20x1&page=1", "q=1&header=***&page=1"),
        ("q=1&header=Bearer%09x1&page=1", "q=1&header=***&page=1"),
        (
            "https://hooks.slack.com/services/T024BE7LD/B0AB12CD3/aBcD1234efGh5678",
            "https://hooks.slack.com/services/T024BE7LD/B0AB12CD3/***",
        ),
        (
            r'{"a":"https:\/\/hooks.slack.com\/services\/T024BE7LD\/B0AB12CD3\/aBcD1234","b":1}',
            r'{"a":"https:\/\/hooks.slack.com\/services\/T024BE7LD\/B0AB12CD3\/***","b":1}',
        ),
        ("u=https%3A%2F%2Fhooks.slack.com%2Fservices%2FT02%2FB0A%2FaBcD1234&a=1", "u=***&a=1"),
        ("https://git:x@example.com/a", "https://***@example.com/a"),
        ("https://ghp_a1@github.com/o/r", "https://***@github.com/o/r"),
        ("https://agit@github.com/o/r", "https://***@github.com/o/r"),
    ],
)
def test_a_value_is_found_within_a_text(proxy, body, masked):
    assert shown(proxy, body) == masked


@pytest.mark.parametrize(
    "number",
    [
        "42424242 42424242",
        "42424242-42424242",
        "4242 424242424242",
        "424242424242-4242",
        "42 42 42 42 42 42 42 42",
        "-".join("4242" * 4),
        " ".join("6212341234567890122"),
        "621234 1234567890122",
        "2223 003122003222",
    ],
)
def test_a_card_number_that_stands_alone_is_masked_whatever_its_groups_are(proxy, number):
    for body in ("{}", " {} ", "pay {}", '{{"memo":"card: {}, thanks"}}', "<a>{}</a>", "5,{},7"):
        assert shown(proxy, body.format(number)) == body.format("***card***")
    plus = number.replace(" ", "+")
    assert shown(proxy, f"memo=card+{plus}+thanks") == "memo=card+***card***+thanks"


@pytest.mark.parametrize(
    "number", ["42424242 42424242", "42 42 42 42 42 42 42 42", "4242-424242424242", "-".join("4242" * 4)]
)
@pytest.mark.parametrize(
    "around",
    ["7 {}", "{} 12", "7-{}", "{}-7", "{} -7", "order-{}", "{}-order", "x{}", "{}x", "{}.5", "1.{}", "+{}"],
)
def test_in_a_longer_list_of_numbers_and_in_an_id_only_usual_groups_are_a_card_number(proxy, number, around):
    body = f'{{"memo":"{around.format(number)}"}}'
    assert shown(proxy, body) == body


@pytest.mark.parametrize(
    "body",
    [
        '{"usage":{"prompt_tokens":5,"max_completion_tokens":7,"tokens":{"input":10,"output":20}}}',
        '{"max_tokens":"512","pass_rate":98.5,"cvv_check":"pass","@odata.deltaToken":"x"}',
        "<prompt_tokens>100</prompt_tokens>",
        '{"nextPageToken":"abc"}',
        '{"login":{"code":"200"},"license":{"key":"mit"},"sms":{"code":"OK"},"shared":{"key":"a"}}',
        '{"token_type":"bearer"}',
        '{"sha1":"9270904594082e5f1a386475e5ed9367773a7fac"}',  # its first 13 digits are a card's
        '{"ratio":0.4242424242424242,"sizes":"42424242 42424242 42424242"}',
        "github_actions_runner_" + "0123456789" * 5,  # not github_pat_
        "xyJhbGciOiJIUzI1NiJ9.a.b",
        "at com.acme.MoneyAmount.parse.run(KeyAgreement.Factory.create)",
        '{"password_required":true}',
        "cookie_policy=accepted",
        '{"password_changed_at":"2026-11-27","token_expires_in":"1h","csrfHeaderName":"x"}',
        '{"token_endpoint":"https://h/token","authorization_endpoint":"https://h/authorize"}',
        '{"name":"DB_PASSWORD","valueFrom":{"secretKeyRef":{"name":"db","key":"password"}}}',
        '{"has_password":true,"userPassword":null,"persist-credentials":false}',
        "has_password=true&page=1",
        "if(token===null){login()}",
        "token_type_hint=access&a=1",
        '{"required":["password","email"],"grant_types":["password"]}',
        '{"columns":["user","mail"],"rows":[["jane","x"]]}',
        '{"headers":[["accept","*/*"]],"points":[[1,2],[3,4]]}',
        "Bearer authentication, for the bearer of a token",
        r'{"a":"for the bearer\n2nd line, the bearer \n3 and Bearer\tof it, Bearer\\v1"}',
        '{"a":"gsk_model-1, nvapi-client, PMAK-12, pat-na1-x, pat-5","b":"ATATTACK"}',
        "https://desk.com/services/tea/best/a1 https://hooks.slack.com/services/ https://ask.com/T1/B1/x",
        "error_description=Bearer+token+is+missing&code=12",
        "ssh://git@github.com/o/r, git+ssh://git@github.com/o/r, git@github.com:o/r",
        '{"ssh_url":"ssh:\\/\\/git@github.com\\/o\\/r"}',
        "docker run -u 1000:1000 image; sort -u a; date -u +%H:%M",
        "Amount (required): 12\n (optional): 13\nasync getToken (user): string {",
        '{"message":"a.BadCredentialsException: Bad credentials\\n\\tat b.Auth(Auth.java:7)","path":"/x"}',
        "   at App.Auth.TokenService.Validate() in /src/Auth/TokenService.cs:line 42\n   at App.Main()",
        "mongodb://a:27017/b?authSource=admin&authMechanism=SCRAM-SHA-256&c=d",
        '{"data":{"auth":{"__typename":"Auth"},"session":null}}',
        '{"authDomain":"a.example","apiKeyAlias":"b"}',
        "USE_AUTH=true\nVERIFY_TOKEN=false\nA=b",
        r'{"a":"has_password=true\nb=c"}',
        '{"errors":{"ConfirmPassword":["\'Confirm Password\' and \'Password\' do not match."]}}',
        '{"errors":{"password":["The password confirmation does not match."]}}',
        '{"password_confirmation":["doesn\'t match Password"]}',
        '{"ARN":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:db/prod-a1b2c3"}',
        '.pin:hover{top:0}input[type="password"]:focus{top:0}.session::after{content:""}',
        "https://token.example.com:8443/x",
        '{"id":"evt_1","type":"checkout.session.expired","data":{"object":{"id":"cs_1","amount":5}}}',
        '{"specversion":"1.0","type":"com.acme.ticket.purchase","data":{"seat":"12a"}}',
        '[{"data":{"email":"a@b.c"},"type":"user.password.reset"},{"type":"auth.login","data":"x1"}]',
        "type=session.created&data=x1",
        '[{"input":"a","output":"the token is new"},{"env":"session-prod","text":"a"},{"var":1,"vals":[1]}]',
        "see `tokens`, chapter no. 5: 1; total #: 5\n- code: 5\nzip-code: x1\nre-number: x1\n/a#b=x1",
        "<event><type>session.created</type><data>x1</data></event>",
        "<dl><dt>Password:</dt><dd></dd><dt>User:</dt><dd>jane</dd></dl>",
        "<form><div><label>PIN:</label></div>\n<div><p><input type='password'></p></div><p>Help</p></form>",
        "<table><tr><td><b>Password:</b></td><td><!-- none --></td></tr></table>",
        "a<b and c",
        '{"at":1700000000000,"us":1700000000000000,"ns":1700000000000000000}',
        '{"lat":52.52000659999991,"id":"550e8400-e29b-41d4-a716-446655440000"}',
        '{"n":"10 20 30 40 50 60 70 80","d":"2026-11-27 2026-11-28"}',
        '{"n":"4242424242424241","phone":"+4915112345678"}',
        '{"phone":"49 151 1234 56737","imei":"35-209900-176148-1"}',
        '{"sizes":"80 45 50 55 60 65 70 58","rows":"40  45  50  55  60  65  70  14"}',
        '{"d":"M 400 300 500 300 500 400 400 400","x":"300 404 500 200 301 302 7"}',
        # Times and dates before a serial number, for which Luhn's sum holds.
        '{"a":20241128123458,"b":"2024112812345677","c":"20241128-000128","d":"20241128 000128"}',
        '{"path":"/a/npm_registry","x":"ghp_short","y":"sk-SK"}',
        '{"region":"ASIA_PACIFIC_EXCLUDING_JAPAN","b":"ASIAN.GAMES.OPENING.CEREMONY"}',
        "/shop/sk-hynix-platinum-p41-2tb-pcie-nvme-gen4-internal-ssd",
        "whsec_rotation_reminder_email_v2, hf_hub_download_with_resume_enabled",
        '{"accessTokenLifespan":300,"x-ratelimit-remaining-tokens":149984,"ssoSessionIdlePeriod":1800}',
        "a-AKIAIOSFODNN7EXAMPLE",
        "eyJvZmZzZXQiOjEwfQ. Next",
        "/45317554-2f30-4496-1827-300014d825b8",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_no_secret_is_kept(proxy, body):
    assert shown(proxy, body) == body


@pytest.mark.parametrize(
    "name",
    [
        *(
            "id_token_signing_alg_values_supported",
            "authMethods",
            "auth_provider",
            "cvc_check",
            "tokenFormat",
        ),
        *("PasswordLastUsed", "SignatureVersion", "sessionTitle", "session_start", "ticket_subject"),
        *("token_uri", "authorizationUrl", "nextSyncToken", "PaginationToken", "$skiptoken"),
        *("sessionAffinity", "passwordPlaceholder", "cvcResult", "KeyPairMasterKeySpec", "session_arn"),
        *("promptTokensDetails", "token_scopes", "passwordPattern", "passwordPolicies", "cookie-banner"),
        *("idTokenSigningAlgorithms", "sessionDialog"),
    ],
)
def test_a_name_that_only_tells_about_secrets_is_kept(proxy, name):
    for text in (json.dumps({name: "x1"}), f"a=1&{name}=x1", f"<{name.strip('$')}>x1</{name.strip('$')}>"):
        assert shown(proxy, text) == text


@pytest.mark.parametrize(
    "value",
    [
        *('""', "[]", "{}", "null", '"********"', '"**** **** **** 4242"'),
        '"424242******4242"',
        '{"type":"string","minLength":8,"description":"a, b"}',
        *('{"status": "enabled"}', '{"used":false}', '[{"name":"db"},{"name":"ci"}]', "[ ]", "[{}]"),
        *('[{"name":"x","created_at":"2026-11-27T10:00:00Z"}]', '{"description":"a \\"word\\""}'),
    ],
)
def test_a_value_of_json_that_cannot_be_a_secret_is_kept(proxy, value):
    for name in ("token", "password"):
        text = f'{{"{name}":{value},"a":1}}'
        assert shown(proxy, text) == text
        assert shown(proxy, f'{{"{name}" : {value}}}') == f'{{"{name}" : {value}}}'


@pytest.mark.parametrize("number", ["7", "0.95", "-3.5"])
def test_a_small_number_of_json_is_kept_under_a_name_of_several_words(proxy, number):
    for name in ("pass_ratio", "authLevel"):
        assert shown(proxy, f'{{"{name}": {number}}}') == f'{{"{name}": {number}}}'
    assert shown(proxy, f'{{"pass":{number}}}') == '{"pass":"***"}'
    assert shown(proxy, f"pass_ratio: {number}") == "pass_ratio:***"


@pytest.mark.parametrize("number", ["12", "1234", "1e9", "-10", "12.5", "7S"])
def test_a_larger_number_is_masked(proxy, number):
    assert shown(proxy, f'{{"user_pin":{number}}}') == '{"user_pin":"***"}'


@pytest.mark.parametrize(
    "value",
    [
        *(
            "12",
            "1234",
            '"1.2.3.4"',
            "[1,2,3,4]",
            "1e9",
            "-100",
            '"7"',
            '"1.2.3-S"',
            '"***S"',
            '"12****S"',
            "123.5",
        ),
        *('["S"]', '["S",{"type":"x"}]', '[["S"]]', '[[{"type":"x"}]]'),
    ],
)
def test_a_value_of_json_that_may_be_a_secret_is_masked(proxy, value):
    assert shown(proxy, f'{{"token":{value},"a":1}}') == '{"token":"***","a":1}'


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ('{"type":"x","value":"S"}', '{"type":"x","value":"***"}'),
        ('{"value":1}', '{"value":"***"}'),
        ('{"id":"S","at":1.5,"ttl":60,"used":false,"by":null,"of":""}', None),
        ('[{"type":"x"},"S"]', '[{"type":"x"},"***"]'),
        ('[{"value":"S"},{"value":"S"}]', '[{"value":"***"},{"value":"***"}]'),
        ('{"type":["S",1]}', '{"type":["***","***"]}'),
        ('{"type":"x","a":{"b":"S","name":"y"}}', '{"type":"x","a":{"b":"***","name":"y"}}'),
        ('{"type":"x" "S"}', '{"type":"x" "***"}'),
        ('{"type": : "S"}', '{"type": "***" "***"}'),
        ('{"type":"a}","value":"S"}', '{"type":"a}","value":"***"}'),
        ('{"description":"\\"","value":"S"}', '{"description":"\\"","value":"***"}'),
        ('{"description":"my pin: S"}', '{"description":"***"}'),
        ('{"description":"{\\"name\\":\\"pin\\",\\"value\\":\\"S\\"}"}', '{"description":"***"}'),
        ('{"description":"pin=S&a"}', '{"description":"pin=***&a"}'),
        ('{"href":"https://u:S@h/","created_at":"2026-11-27T10:00:00Z"}', None),
        ('{"ab1234567890123456":{"type":"x"}}', '{"***":{"type":"x"}}'),
        ("{type:S}", '{"***"}'),
        ("{'type':'x'}", '{"***"}'),
        ('{"type":"' + "x" * 600 + '"}', '{"type":"' + "x" * 600 + '"}'),
    ],
)
def test_the_object_of_a_secret_keeps_what_only_tells_about_the_secret(proxy, value, masked):
    if masked is None:
        masked = value.replace('"S"', '"***"').replace("u:S", "***")
    for name in ("token", "credentials"):
        assert shown(proxy, f'{{"{name}":{value},"a":1}}') == f'{{"{name}":{masked},"a":1}}'


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ('{"ticket":"S","tickets":["S"]}', '{"ticket":"***","tickets":"***"}'),
        (
            '{"tickets":[{"subject":"No light","status":"open","created_at":"2026-11-27","via":"S"}]}',
            '{"tickets":[{"subject":"No light","status":"open","created_at":"2026-11-27","via":"***"}]}',
        ),
        ('{"session":{"id":"S"}}', '{"session":{"id":"***"}}'),
        ('{"token":{"access":"S"}}', '{"token":{"access":"***"}}'),
        ('{"credentials":[{"value":"S"}]}', '{"credentials":[{"value":"***"}]}'),
        ('{"refresh_token":{"rotation_type":"x","leeway":30,"token_lifetime":3600}}', None),
        ('{"secrets":[{"value":1234}],"passwords":{"wifi":12345678}}', None),
        ('{"m":"{\\"token\\":{\\"type\\":\\"x\\"}}"}', '{"m":"{\\"token\\":\\"***\\"}"}'),
    ],
)
def test_only_the_members_of_an_object_are_masked_that_may_be_the_secret(proxy, body, masked):
    if masked is None:
        masked = body
        for number in ("30", "1234}", "12345678"):
            masked = masked.replace(f":{number}", ':"***"' + number.strip("0123456789"))
    assert shown(proxy, body) == masked


SID = "AC0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("sid", [SID, "S-1-5-21-3623811015-3361044348-30300820-1013"])
def test_an_id_that_is_called_sid_is_kept(proxy, sid):
    text = f'{{"sid":"{sid}","serviceSid":"{sid}"}}'
    assert shown(proxy, text) == text
    assert shown(proxy, f"AccountSid={sid}&a=1") == f"AccountSid={sid}&a=1"
    assert shown(proxy, json.dumps({"a": text})) == json.dumps({"a": text})
    assert shown(proxy, f'{{"token":"{sid}"}}') == '{"token":"***"}'


@pytest.mark.parametrize("sid", [SID.upper(), SID[2:], SID[:-1] + "g", SID + "-s3cr3t", "s%3A" + SID])
def test_a_sid_of_another_form_may_be_a_sessions(proxy, sid):
    assert shown(proxy, f'{{"sid":"{sid}"}}') == '{"sid":"***"}'


def test_a_constant_of_json_is_no_secret_and_a_text_that_looks_like_one_may_be(proxy):
    assert shown(proxy, '{"auth":true,"pin":false,"otp":null}') == '{"auth":true,"pin":false,"otp":null}'
    assert shown(proxy, '{"auth":"true"}') == '{"auth":"***"}'
    assert shown(proxy, "auth=true&a=1") == "auth=***&a=1"
    assert shown(proxy, '{"auth":truest}') == '{"auth":"***"}'


@pytest.mark.parametrize("name", ["device_code", "streamKey", "FCM_SERVER_KEY", "aesKey"])
def test_a_key_of_a_server_is_secret_and_one_in_its_object_may_be_another(proxy, name):
    assert shown(proxy, f'{{"{name}":"x"}}') == f'{{"{name}":"***"}}'
    kept = '{"device":{"code":"x"},"server":{"key":"x"}}'
    assert shown(proxy, kept) == kept


@pytest.mark.parametrize(
    "name", ["token_lifetime", "passwordExpirationDays", "sessionTTL", "token_limit_per_day"]
)
def test_a_number_is_kept_under_the_name_of_a_measure(proxy, name):
    assert shown(proxy, f'{{"{name}":86400}}') == f'{{"{name}":86400}}'
    assert shown(proxy, f'{{"{name}":"x1"}}') == f'{{"{name}":"***"}}'


@pytest.mark.parametrize("body", ['{"pin":', '{"myPin":1', '{"pin":{"type":"x'])
def test_a_value_that_is_cut_off_is_no_small_number_and_no_object_that_tells(proxy, body):
    assert shown(proxy, body) in (body, '{"pin":"***"', '{"myPin":"***"')
    assert "1" not in shown(proxy, body)
    assert "type" not in shown(proxy, body)


@pytest.mark.parametrize(
    "body",
    [
        "mutation L($password: String!, $token: [ID!]) { login(password: $password, a: 1) { id } }",
        '{"query":"query Q($token: ID!) { a(token: $token) { id } }","variables":{}}',
        '{"image":"registry.example.com/auth:1.2.3","dependencies":{"cookie":"^1.2.3","csrf":"0.5.0"}}',
        '{"name":"password","description":null,"type":{"kind":"SCALAR"},"defaultValue":null}',
        '{"id":"evt_1","type":"checkout.session.completed","data":{"object":{"id":"x"}}}',
        '<label>Password:</label><input type="password" name="password" placeholder="Password">',
        '{"title":"订单\N{FULLWIDTH COLON}42","note":"说明"}',
        "a=1&token=&b=2",
        "<a pin='' b='c'>",
        '{"integrity":"sha512-4sOuhGPKaaGssGB2q0gPgtTvoyZLPw=="}',
        ".session:hover > .pin, .token:focus, .otp:first-child .a { top: 0 }",
        "token-service.auth.svc.cluster.local:8080/*",
        '{"sample":"<HMAC_TAG>","from":"Reset <password@x.example>","id":1}',
        '{"tickets":[{"id":1,"status":"open"}]}',
        '{"errors":{"password":["is too short (minimum is 8 characters)","must have a digit"]}}',
        '{"token":[ "This field must not be empty." ],"detail":[]}',
        '{"promptTokensDetails":[{"modality":"TEXT","tokenCount":10}],"tokens_per_second":35.25}',
        "at a.TokenService.verify(TokenService.java:42)",
        '{"scope":"secrets:read token:revoke","permissions":["session:write"],"event":"password:reset"}',
        "grant_type=x&scope=secrets:read+users:write&a=1",
        '{"password":"${DB_PASSWORD}"}',
        "db:\n  password: ${DB_PASSWORD}\n  user: a",
        '{"store_auth":{"type":"oauth2","authorizationUrl":"https://a.b","scopes":{"write:pets":"modify"}}}',
        '{"security":[{"petstore_auth":["write:pets","read:pets"]}]}',
        '{"flows":{"authorizationCode":{"tokenUrl":"https://a.example/t","scopes":{"read":"Read things"}}}}',
        '{"flows":{"password":{"scopes":{"me":"Read me"},"tokenUrl":"token"}}}',
        '{"OAuth2":{"type":"oauth2","description":"a","flows":{"implicit":{"scopes":{"a":"b"}}}}}',
        '{"flows":{"password":{"tokenUrl":"https://a","refreshUrl":"https://b","scopes":{"a":"b"}}}}',
        '{"auth":{"authorizationUrl":"https://a","flow":"implicit","scopes":{"a":"b"},"type":"oauth2"}}',
        '{"security":[{"OAuth2":["read"]}]}',
        '{"schemas":{"Session":{"type":"object","required":["id"],"properties":{"id":{"type":"string"}}}}}',
        '{"Token":{"properties":{"token_type":{"type":"string","default":"bearer"}},"required":["token_type"]}}',
        '{"Ticket":{"required":["id"],"type":"object","properties":{"id":{"type":"string","format":"uuid"}}}}',
        '{"properties":{"pin":{"type":"integer","minimum":0,"maximum":9999}}}',
    ],
)
def test_a_text_of_a_well_known_form_is_kept(proxy, body):
    assert shown(proxy, body) == body


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ('{"card":{"number":{"value":"S"}}}', '{"card":{"number":"***"}}'),
        ('{"password":"{\\"type\\":\\"S\\"}"}', '{"password":"***"}'),
        ("login(password: $S, a: 1)", "login(password:***, a: 1)"),
        ("password: Secret", "password:***"),
        ("token:refresh S", "token:***"),
        ("password:reader", "password:***"),
        ("password:list,S", "password:***"),
        ("recovery codes: [1111]\n[2222]", "recovery codes:***"),
        ('<input name="password" VALUE="S">', "<input ***>"),
        (
            "<r a='%22-----BEGIN+PRIVATE+KEY-----%5CnX%5Cn-----END+PRIVATE+KEY-----%5Cn%22'></r>",
            "<r a='%22***key***%5Cn%22'></r>",
        ),
        ('<input name="password" pin="S">', '<input name="password" pin="***">'),
        (f'<input name="pin" a="{"x" * 512}">', "<input ***>"),
        ('{"memo":"您的密码\N{FULLWIDTH COLON}S","id":1}', '{"memo":"***","id":1}'),
        ('login(password: "$S", a: 1)', 'login(password:"***", a: 1)'),
        ('query($password: String = "S") { a }', "query($password:***) { a }"),
        ("<p>pin=<b>S</b></p>", "<p>pin=***</b></p>"),
        ("<p>pin=<b>S<i>S</i></b></p>", "<p>pin=***</i></b></p>"),
        ('{"a":"<password>S","b":1}', '{"a":"<password>***","b":1}'),
        ('{"a":"{\\"h\\":\\"<password>S\\"}","b":1}', '{"a":"{\\"h\\":\\"<password>***","b":1}'),
        ('{"a":"x","h":"<user><password>S', '{"a":"x","h":"<user><password>***'),
        ("a=b pin:S&c=1", "a=b pin:***"),
        ("a=pin:S&S", "a=pin:***"),
        ("b=1&b=1&a=pin:S&c=S", "b=1&b=1&a=pin:***"),
        ('a=b,pin: "S&c=S"', 'a=b,pin:"***"'),
        ("a=b,pin:[S&c=S]", "a=b,pin:***"),
        ('{"password":"${S}-1"}', '{"password":"***"}'),
        (
            '{"Session":{"type":"object","properties":{"token":{"type":"string","example":"S"}}}}',
            '{"Session":{"type":"object","properties":{"token":{"type":"string","example":"***"}}}}',
        ),
        (
            '{"auth":{"type":"oauth2","flow":"code","store":[{"key":"accessToken","value":"S"}],"password":"S"}}',
            '{"auth":{"type":"oauth2","flow":"code","store":[{"key":"accessToken","value":"***"}],"password":"***"}}',
        ),
        # Secrets that begin almost as such objects do.
        (
            '{"auth":{"type":"oauth2","oauth2":[{"key":"code","value":"S"}]}}',
            '{"auth":{"type":"oauth2","oauth2":[{"key":"***","value":"***"}]}}',
        ),
        ('{"credentials":{"type":"oauth2","id":"S"}}', '{"credentials":{"type":"oauth2","id":"***"}}'),
        ('{"session":{"type":"object","id":"S"}}', '{"session":{"type":"object","id":"***"}}'),
        (
            '{"auth":{"type":"oauth2","authUrl":"S","id":"S"}}',
            '{"auth":{"type":"oauth2","authUrl":"***","id":"***"}}',
        ),
        ('{"auth":{"tokenUrl":"https://S","id":"S"}}', '{"auth":{"tokenUrl":"***","id":"***"}}'),
        ('{"auth":{"tokenUrl":"https://S","refresh":"S"}}', '{"auth":{"tokenUrl":"***","refresh":"***"}}'),
        ('{"auth":{"resetUrl":"https://S","scopes":"a"}}', '{"auth":{"resetUrl":"***","scopes":"a"}}'),
        ('{"session":{"properties":{"a":{"data":"S"}}}}', '{"session":{"properties":{"a":{"data":"***"}}}}'),
        ('{"security":[{"pin":["S"]}]}', '{"security":[{"pin":"***"}]}'),
        ('{"security":[{"auth":["S1"]}]}', '{"security":[{"auth":"***"}]}'),
        ('{"session":{"scopes":{"a":"b"},"id":"S"}}', '{"session":{"scopes":{"a":"***"},"id":"***"}}'),
        ('{"session":{"properties":{"id":"S"}}}', '{"session":{"properties":{"id":"***"}}}'),
    ],
)
def test_a_secret_in_a_text_of_such_a_form_is_masked(proxy, body, masked):
    assert shown(proxy, body) == masked


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ("var token = read();\nvar other = 1;\nsum = 2", "var token =***;\nsum = 2"),
        ("[db]\npassword = S\nhost = h", "[db]\npassword =***\nhost = h"),
        ("{'token': 'S',\n}\na", "{'token':'***',\n}\na"),
        ("f( ( tokens = [1] ) ); // 5%", "f( ( tokens =*** ) ); // 5%"),
        ('pin = "S"\n\n[owner]\nname = "a"', 'pin ="***"\n\n[owner]\nname = "a"'),
        ("PIN='S' # daily\n# mail\nMAIL=x", "PIN='***' # daily\n# mail\nMAIL=x"),
        ("run --pin='S' --fast 'a b'", "run --pin='***' --fast 'a b'"),
        ("- pin: 'S'\n- a: b", "- pin:'***'\n- a: b"),
        ('a:\n  pin: "S" # daily\n\n# b', 'a:\n  pin:"***" # daily\n\n# b'),
        ('pin: "S"\n---\nb: 1', 'pin:"***"\n---\nb: 1'),
        ('{"a":"pin: \\"S\\"\\n- b\\n","c":1}', '{"a":"pin:\\"***\\"\\n- b\\n","c":1}'),
        ("env:\n  - PIN=S\n  - LOG=a\n", "env:\n  - PIN=***\n  - LOG=a\n"),
        ("- a: b\n  pin: S\n- a: c\n", "- a: b\n  pin:***\n- a: c\n"),
        ("pins:\n- S\n- a: S\n  b: S\n- a: S\nc: 1", "pins:***\nc: 1"),
        # What may be a part of the secret.
        ("pin = 'S'\n    'S'", "pin ='***'"),
        ("pin: 'S'\n  + 'S'", "pin:'***'"),
        ("pin: 'S' and S", "pin:'***'"),
        ('{"pin": "S"\n "a": 1}', '{"pin":"***"\n "a": 1}'),
        ("pin: 'S'\n密码: S", "pin:'***'\n密码:***"),
    ],
)
def test_what_follows_a_secret_of_code_is_kept(proxy, body, masked):
    assert shown(proxy, body) == masked


@pytest.mark.parametrize(
    "secret", [JWT, JWE, STRIPE, "4242424242424242", "4242-4242-4242-4242", "-".join("4242" * 4)]
)
def test_a_limit_shows_no_part_of_a_secret_that_it_cuts_in_two(start, secret):
    start_of_path = "/a/" * 30
    for length in range(7, len(secret), 3):
        proxy = start(
            max_body_bytes=len('{"memo":"see ') + length, max_path_bytes=len(start_of_path) + length
        )
        assert shown(proxy, f'{{"memo":"see {secret}"}}').startswith('{"memo":"see')
        assert secret[:7] not in shown(proxy, f'{{"memo":"see {secret}"}}')
        assert secret[:7] not in target(proxy, start_of_path + secret)


def test_a_limit_shows_no_user_information_that_it_cuts_in_two(start):
    proxy = start(max_body_bytes=30)
    assert shown(proxy, f'{{"a":"https://jane:{SECRET}@h.example"}}') == '{"a":"https://'


@pytest.mark.parametrize("body", ["order 123456 for jane", "see sku-17, and 12 more"])
def test_a_limit_in_a_harmless_word_cuts_just_there(start, body):
    for limit in range(5, len(body)):
        assert shown(start(max_body_bytes=limit), body) == body[:limit]


def test_a_graphql_query_keeps_what_follows_a_masked_argument(proxy):
    query = 'mutation { login(user: "jane", password: "S") { id } } query b { orders { id } }'
    body = json.dumps({"query": query.replace('"S"', json.dumps(SECRET)), "variables": {}})
    assert json.loads(shown(proxy, body))["query"] == query.replace(' "S"', '"***"')


def test_a_parameter_in_a_user_agent_is_masked(proxy):
    proxy.exchange([*GET, ("user-agent", f"tool/1.0 token={SECRET}")])
    assert proxy.span.headers("request")["user-agent"] == "tool/1.0 token=***"


@pytest.mark.parametrize(
    ("path", "masked"),
    [
        ("/a?q=&amp;amp;amp;amp;amp;lt;&b=1", "/a?q=***"),
        ("/a?q=%252525252541&b=1", "/a?q=***&b=1"),
    ],
)
def test_what_is_escaped_too_often_to_be_judged_is_masked_and_the_rest_is_kept(proxy, path, masked):
    assert target(proxy, path) == masked


@pytest.mark.parametrize("name", ["clé", "xclé", "maclé", "clés"])
def test_a_phrase_with_a_letter_beyond_ascii_is_found_anywhere_in_a_name(start, name):
    proxy = start(redaction={"extra_fields": ["clé"]})
    proxy.exchange(sent=[json.dumps({name: "S3cr3t"}, ensure_ascii=False).encode()])
    assert "S3cr3t" not in proxy.span["http.request.body"]


def test_settings_add_to_the_lists_and_keep_names(start):
    proxy = start(redaction={"extra_fields": ["iban"], "keep_fields": ["session room"], "values": ["card"]})
    body = {
        "iban": "x",
        "password": "x",
        "sessionRoom": "5",
        "session": "x",
        "a": JWT,
        "b": "4242424242424242",
    }
    assert json.loads(shown(proxy, json.dumps(body))) == {
        "iban": "***",
        "password": "***",
        "sessionRoom": "5",
        "session": "***",
        "a": JWT,
        "b": "***card***",
    }


def test_a_number_in_the_object_of_a_secret_is_judged_whatever_the_names_of_secrets_are(start):
    body = '{"password":{"hint":12,"count":12}}'
    for fields in ({"fields": ["password"]}, {"keep_fields": ["pin hint"]}):
        assert shown(start(redaction=fields), body) == '{"password":{"hint":"***","count":12}}'


def test_a_word_about_secrets_may_belong_to_a_name_that_is_added(start):
    proxy = start(redaction={"extra_fields": ["full name"]})
    assert shown(proxy, '{"fullName":"x","secretName":"x"}') == '{"fullName":"***","secretName":"x"}'


@pytest.mark.parametrize(
    ("field", "body", "masked"),
    [
        ("age", '{"age":42,"user_age":42,"x":1}', '{"age":"***","user_age":"***","x":1}'),
        ("age", "age: 42, x: 1", "age:***, x: 1"),
        ("customer", '{"customerName":"Jane","x":1}', '{"customerName":"***","x":1}'),
        ("customer", "customer[name]=Jane&x=1", "customer[name]=***&x=1"),
        ("customer", '{"customers":{"name":"Jane"}}', '{"customers":{"name":"***"}}'),
        (
            "customer",
            '{"customer":{"name":"Jane","at":7,"vip":true,"note":"","address":{"type":"home"}}}',
            '{"customer":{"name":"***","at":"***","vip":"***","note":"","address":{"type":"***"}}}',
        ),
        ("customer", "<customerName>Jane</customerName>", "<customerName>***</customerName>"),
        ("customer", "<customer><name>Jane</name></customer>", "<customer>***</customer>"),
        ("customer", '{"token_customer_type":"Jane"}', '{"token_customer_type":"***"}'),
        ("customer number", '{"customers":{"number":true}}', '{"customers":{"number":"***"}}'),
        ("customer number", '{"customers_number":5}', '{"customers_number":"***"}'),
        ("birth", '{"birthDate":"1990-01-01"}', '{"birthDate":"***"}'),
        ("birth", '{"birth":"01.02.1990"}', '{"birth":"***"}'),
        ("diagnosis", '{"diagnosisDescription":"flu"}', '{"diagnosisDescription":"***"}'),
        (
            "diagnosis",
            '{"diagnosis":{"title":"flu","codes":["J10"]}}',
            '{"diagnosis":{"title":"***","codes":["***"]}}',
        ),
        ("salary", '{"salaryLimit":9000,"salary_total":7}', '{"salaryLimit":"***","salary_total":"***"}'),
        ("credit score", '{"credit_score":9}', '{"credit_score":"***"}'),
        ("smoker", '{"is_smoker":true,"smoker":false}', '{"is_smoker":"***","smoker":"***"}'),
        ("religion", '{"religion":["is catholic"]}', '{"religion":"***"}'),
        # As docs/capture.md has it.
        ("patient", '{"thepatientName":"Jane"}', '{"thepatientName":"Jane"}'),
        ("patient", "Patient name: Jane", "Patient name: Jane"),
        ("birth date", '{"birth":{"date":"1.2.1990"}}', '{"birth":{"date":"1.2.1990"}}'),
        ("birth date", '{"birth":{"date":7}}', '{"birth":{"date":"***"}}'),
        # Empty values, hosts, descriptions and the default words are as ever.
        ("customer", '{"customer":null,"customers":[]}', '{"customer":null,"customers":[]}'),
        ("customer", "at https://customer.example.com:8443/x", "at https://customer.example.com:8443/x"),
        (
            "customer",
            '{"Customer":{"type":"object","properties":{"a":{"type":"string"}}}}',
            '{"Customer":{"type":"object","properties":{"a":{"type":"string"}}}}',
        ),
        ("age", '{"tokens":12,"token_age":"x"}', '{"tokens":12,"token_age":"***"}'),
        ("age", '{"token_usage":{"total":5},"tokenType":"x"}', '{"token_usage":{"total":5},"tokenType":"x"}'),
    ],
)
def test_what_makes_a_default_word_harmless_does_not_make_an_added_one(start, field, body, masked):
    assert shown(start(redaction={"extra_fields": [field]}), body) == masked
    assert shown(start(redaction={"fields": ["token", field]}), body) == masked


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        (
            '[{"name":"pin","value":"S"},{"name":"a","value":"b"}]',
            '[{"name":"***","value":"***"},{"name":"***","value":"b"}]',
        ),
        ("name=pin&value=S", "name=***&value=***"),
        ("- name: PIN\n  value: S\n", "- name:***\n  value:***"),
        ("<a><name>pin</name><value>S</value></a>", "<a><name>***</name><value>***</value></a>"),
        ('<a><field name="pin" value="S"/></a>', "<a><field ***/></a>"),
        ('<a><string name="pin">S</string></a>', "<a><string ***>***</string></a>"),
        ('<a><input name="mail"></a>', '<a><input name="***"></a>'),
        (
            '--b\r\nContent-Disposition: form-data; name="pin"\r\n\r\nS\r\n--b--',
            '--b\r\nContent-Disposition: form-data; name="pin"\r\n\r\n***\r\n--b--',
        ),
        (
            '--b\r\nContent-Disposition: form-data; name="user[pin]"\r\n\r\nS\r\n--b--',
            '--b\r\nContent-Disposition: form-data; name="user[pin]"\r\n\r\n***\r\n--b--',
        ),
    ],
)
def test_a_word_that_is_added_still_tells_the_names_of_secrets(start, body, masked):
    assert shown(start(redaction={"extra_fields": ["name", "content"]}), body) == masked


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ("value=S&id=pin&value=S&token.id=1", "value=***&id=pin&value=***&token.id=***"),
        (
            "<a><old>S</old><key>pin</key><value>S</value><api><key>S</key></api></a>",
            "<a><old>***</old><key>pin</key><value>***</value><api><key>***</key></api></a>",
        ),
        ("- id: 1\n  old: S\n  id: pin\npin.value: 1\n", "- id: 1\n  old:***\n  id: pin\npin.value:***"),
        ('{"title": "key: password, value: S at"}', '{"title": "key: password, value:***"}'),
    ],
)
def test_names_of_secrets_are_told_beside_secrets_and_within_other_values(proxy, body, masked):
    assert shown(proxy, body) == masked


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ("pin.de: 1234", "pin.de:***"),
        ('{"security_answers": ["rue de Rivoli"]}', '{"security_answers":"***"}'),
        ("password=form-data;S", "password=***"),
    ],
)
def test_a_secret_that_looks_like_a_place_a_sentence_or_a_head_is_masked(proxy, body, masked):
    assert shown(proxy, body) == masked


def test_a_default_word_that_is_added_again_is_as_ever(start):
    proxy = start(redaction={"fields": ["pin"], "extra_fields": ["token"]})
    assert (
        shown(proxy, '{"tokenType":"x","tokens":12,"token":"x"}')
        == '{"tokenType":"x","tokens":12,"token":"***"}'
    )


def test_kept_words_are_stronger_than_added_ones(start):
    proxy = start(redaction={"extra_fields": ["customer"], "keep_fields": ["customer id"]})
    body = '{"customerId":7,"customer":{"id":7,"name":"Jane"}}'
    assert shown(proxy, body) == '{"customerId":7,"customer":{"id":7,"name":"***"}}'


@pytest.mark.parametrize("kept", ["gift card", "gift card number"])
def test_words_that_are_kept_are_known_across_an_object_and_its_member(start, kept):
    proxy = start(redaction={"keep_fields": [kept]})
    assert shown(proxy, '{"gift_card":{"number":1},"card":{"number":1}}') == (
        '{"gift_card":{"number":1},"card":{"number":"***"}}'
    )


def test_headers_that_are_added_are_recorded_and_masked(start):
    proxy = start(extra_headers=["x-tenant", "x-order"], redaction={"extra_headers": ["x-tenant"]})
    proxy.exchange([*GET, ("x-tenant", "acme"), ("x-order", "7")], OK)
    headers = proxy.span.headers("request")
    assert (headers["x-tenant"], headers["x-order"]) == ("***", "7")


def prefixes() -> list[str]:
    """The prefixes of keys, as lua/values.lua lists them."""
    source = (
        Path("lua/values.lua").read_text("utf-8").partition("local PREFIXES = {")[2].partition("\n}\n")[0]
    )
    lists = re.findall(r'\] = (?:"([^"]+)"|\[\[(.+?)\]\])', source, re.DOTALL)
    return [prefix for found in lists for prefix in "".join(found).split()]


def test_the_compacted_script_masks_as_the_script_does(proxy):
    rendered = script.render(Capture(), sensor_id=SENSOR_ID, collector=COLLECTOR, direction=Direction.INBOUND)
    compacted = Proxy(rendered.inline_code)
    keys = [prefix + "a1B2" * 16 for prefix in prefixes()]
    starts = itertools.cycle(start for start, _ in FORMS.values())
    mixed = [Text(start, unit).of(200) for start, unit in zip(starts, UNITS, strict=False)]
    assert len(keys) > 50
    for body in [*keys, *mixed]:
        assert shown(compacted, body) == shown(proxy, body)


@given(
    number=st.text("0123456789", min_size=12, max_size=18).filter(
        lambda text: text[0] not in "01" and text[:2] != "20"
    ),
    group=st.sampled_from([0, 4]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_number_for_which_luhns_sum_holds_is_masked_and_no_other(proxy, number, group):
    def written(digits):
        return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4)) if group else digits

    total = sum(sum(divmod(int(digit) * (2 - at % 2), 10)) for at, digit in enumerate(reversed(number)))
    check = -total % 10
    assert shown(proxy, f"pay {written(number + str(check))}!") == "pay ***card***!"
    if not group:
        other = number + str((check + 1) % 10)
        assert shown(proxy, f"pay {other}!") == f"pay {other}!"


def examples():
    """The rows of docs/capture.md that show what leaves."""
    text = (Path(__file__).parents[2] / "docs" / "capture.md").read_text("utf-8")
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \| .+ \|$", text[text.index("## Redaction") :], re.MULTILINE)
    assert len(rows) > 9
    return rows


@pytest.mark.parametrize(("body", "masked"), examples())
def test_the_examples_of_the_docs_are_what_leaves(proxy, body, masked):
    assert shown(proxy, body) == masked


def test_a_text_of_new_names_with_escapes_is_masked_unread(proxy):
    new_names = "".join(f"item_{number}=1&" for number in range(5_000))
    assert shown(proxy, new_names) == new_names
    assert shown(proxy, f"{new_names.replace('item', 'part')}a=%41") == "***"


def test_a_text_of_known_names_with_escapes_is_read(proxy):
    text = "a=%41&" * 6_000
    assert shown(proxy, text) == text
