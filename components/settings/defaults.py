"""Defaults of the settings that are long, or that others need."""

# fmt: off

CLUSTER_DOMAIN = "cluster.local"

# The guide's allowlist in the guide's order, each name once.
GUIDE_HEADERS = [
    # Request
    "accept", "accept-encoding", "accept-language", "cache-control", "connection", "content-length",
    "content-type", "cookie", "host", "pragma", "referer", "user-agent", "origin", "authorization",
    "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range", "te", "upgrade",
    "via", "warning",
    # Response
    "age", "allow", "content-disposition", "content-encoding", "content-language", "content-location",
    "content-range", "date", "etag", "expires", "last-modified", "location", "server", "set-cookie", "vary",
    "keep-alive", "proxy-authenticate", "proxy-authorization", "transfer-encoding",
    # Tracing, forwarding
    "x-request-id", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    "x-forwarded-port", "x-forwarded-client-cert", "x-real-ip",
    # Envoy
    "x-envoy-upstream-service-time", "x-envoy-internal", "x-envoy-decorator-operation",
    "x-envoy-expected-rq-timeout-ms", "x-envoy-original-path", "x-envoy-attempt-count",
    "x-envoy-external-address", "x-envoy-force-trace", "x-envoy-original-dst-host", "x-envoy-max-retries",
    "x-envoy-retry-on", "x-envoy-retriable-status-codes", "x-envoy-retriable-header-names",
    "x-envoy-retry-grpc-on", "x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node",
    "x-envoy-local-overloaded", "x-envoy-peer-metadata", "x-envoy-peer-metadata-id",
    # Istio
    "x-istio-attributes", "x-istio-request-id", "x-istio-auth-userinfo",
    # CORS
    "access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers",
    "access-control-max-age", "access-control-allow-credentials", "access-control-expose-headers",
    "access-control-request-method", "access-control-request-headers",
    # Security
    "strict-transport-security", "x-content-type-options", "x-frame-options", "x-xss-protection",
    "content-security-policy", "referrer-policy", "cross-origin-resource-policy",
    "cross-origin-opener-policy", "cross-origin-embedder-policy",
    # WebSocket
    "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-accept",
    "sec-websocket-extensions",
]

# Headers whose values are credentials.
SECRET_HEADERS = [
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token",
    "x-amz-security-token", "x-csrf-token", "x-xsrf-token", "x-access-token", "x-istio-auth-userinfo",
    "sec-websocket-protocol",  # browsers have no other place for a WebSocket's token
]

# Words that make a name secret; several are consecutive words.
SECRET_FIELDS = [
    "password", "passwd", "pwd", "passphrase", "secret", "token", "api key", "access key",
    "private key", "credential", "session", "pin", "ssn", "card number", "cvv", "cvc", "otp",
    "authorization", "signature", "sig", "jwt", "bearer", "pass", "creds",
    "security code",
    "csrf", "xsrf", "totp", "assertion", "saml response", "encryption key", "signing key",
    "connection string", "cookie", "sid", "card no", "cc number", "cvn", "pin code", "mfa code",
    "code verifier", "auth key", "account key", "subscription key", "saml request",
    # More of the same.
    "auth", "ticket", "credit card", "card num", "pan", "social security number", "recovery code",
    "backup code", "verification code", "two factor code", "mnemonic", "priv key", "pw", "psw",
    "consumer key", "app key", "hmac", "passkey", "seed phrase", "recovery phrase", "security answer",
    "access code", "one time code", "master key", "ssh key", "psk", "conn str", "ccv", "pswd", "mpin",
    # Other languages.
    "passwort", "kennwort", "geheim", "contraseña", "contrasena", "senha", "palavra passe",
    "mot de passe", "mdp", "wachtwoord", "parola", "lösenord", "passord", "adgangskode", "salasana",
    "hasło", "haslo", "heslo", "jelszó", "şifre", "sifre", "mật khẩu", "κωδικός",
    "пароль", "секрет", "токен", "סיסמה", "كلمة المرور", "पासवर्ड", "รหัสผ่าน",
    "密码", "密碼", "口令", "密钥", "令牌", "验证码", "パスワード", "暗証番号", "비밀번호", "암호",
    "lozinka", "geslo", "jelszo", "гасло", "slaptažodis", "slaptazodis", "kata sandi", "mat khau",
    # Words that are often written together.
    "sessionid", "sessid", "secretkey", "passcode", "authcode",
    # Words that mean something else in an object's name and a name in it: {"login": {"code": 200}}.
    "smscode", "logincode", "verifycode", "activationcode", "unlockcode", "2facode", "tlskey", "sslkey",
    "enckey", "sharedkey", "licensekey", "functionskey", "stripekey", "sendgridkey", "mapskey", "openaikey",
    "devicecode", "streamkey", "serverkey", "aeskey", "clientkey", "applicationkey", "decryptionkey",
    "confirmationcode", "cardcode", "resetcode", "emailcode",
]

# Words that together are no secret, although one of them is a secret word: places in lists and of servers,
# counts of a language model's tokens.
KEPT_FIELDS = [
    "page token", "next token", "continuation token", "sync token", "skip token", "pagination token",
    "token type", "token url", "token uri", "auth url", "auth uri", "authorization url",
    "allow credentials", "tokens details", "ticket id", "ticket number", "ticket price",
    "session affinity", "cvc check", "cvv check", "delta token", "pass rate",
    "prompt tokens", "completion tokens", "total tokens", "max tokens", "input tokens", "output tokens",
    "tokens prompt", "tokens completion", "tokens total", "tokens input", "tokens output",
    "possession", "obsession", "passwordless",
]

# What `http.*.body` may hold as a string, whatever its bytes are.
TEXT_TYPES = [
    "text/*", "application/json", "application/*+json", "application/xml", "application/*+xml",
    "application/x-www-form-urlencoded", "application/javascript", "application/graphql",
    "application/x-ndjson", "application/yaml",
]
