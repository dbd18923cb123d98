"""What a recorded exchange, a log line or an error may show."""

import base64
import html
import json
import logging
from time import thread_time
from urllib.parse import quote, quote_plus, urlencode

import pytest
import structlog
from hypothesis import given, strategies as st

from instances.redaction import (
    MAX_BODY_CHARACTERS,
    REDACTED,
    RecordedMessage,
    is_secret_key,
    is_secret_name,
    log_formatter,
    redact_body,
    redact_exchange,
    redact_headers,
    redact_text,
    redact_url,
)

# Not made of the letters that the surrounding texts, or the mark itself, are made of.
SECRETS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00[]redactnoispw mrch"), min_size=4
).filter(lambda one: one.strip() == one and not one.isdigit())
NAMES = st.sampled_from(["note", "password", "user.password", "q", "access_token", "a[b]"])
FORM = "application/x-www-form-urlencoded"
ENCODINGS = st.sampled_from(
    [
        "base64",
        "base64 of a pair",
        "base64 of a form's pair",
        "base64 in Latin-1",
        "hex",
        "HEX",
        "percent twice",
        "percent thrice",
        "percent of base64",
        "every character in percent",
        "upper",
        "lower",
        "swapped",
        "upper in base64",
        "PHP's JSON",
        ".NET's JSON",
        "JSON in JSON in HTML",
        "numbers in HTML",
        "bytes in Python",
    ]
)
AROUND = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=5)


def forms_of(secret):
    ascii_json, raw_json = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    return {secret, quote(secret, safe=""), quote_plus(secret), ascii_json, raw_json}


def survivors(secret, shown):
    return [form for form in forms_of(secret) if form in shown]


def in_base64(before, secret, after, *, is_url_safe, charset="utf-8"):
    """The base64 of all three, and those of its characters that hold the secret alone."""
    encode = base64.urlsafe_b64encode if is_url_safe else base64.b64encode
    start = len(before.encode(charset))
    stop = start + len(secret.encode(charset))
    whole = encode(f"{before}{secret}{after}".encode(charset)).decode()
    return whole, whole[-(-start * 8 // 6) : stop * 8 // 6]


def encoded(secret, encoding, before, after, *, is_url_safe):
    """How somebody writes a secret, and what of that must not be shown."""
    match encoding:
        case "base64":
            whole, telling = in_base64("", secret, "", is_url_safe=is_url_safe)
            return whole.rstrip("="), telling
        case "base64 of a pair":
            return in_base64(before + ":", secret, after, is_url_safe=is_url_safe)
        case "base64 of a form's pair":
            quoted = quote_plus(secret)
            return in_base64(before + ":", quoted, after, is_url_safe=is_url_safe)
        case "base64 in Latin-1" if max(secret) <= "\xff":
            return in_base64(before, secret, "", is_url_safe=is_url_safe, charset="latin-1")
        case "upper in base64":
            return in_base64(before, secret.upper(), after, is_url_safe=is_url_safe)
        case "percent of base64":
            whole, telling = in_base64(before, secret, after, is_url_safe=is_url_safe)
            return quote(quote(whole, safe=""), safe=""), telling
        case "hex":
            return before + secret.encode().hex(), secret.encode().hex()
        case "HEX":
            return secret.encode().hex().upper() + after, secret.encode().hex().upper()
        case "percent thrice":
            written = quote(quote(quote(secret, safe=""), safe=""), safe="")
        case "every character in percent":
            written = "".join(f"%{byte:02x}" for byte in secret.encode())
        case "PHP's JSON":
            written = json.dumps(secret)[1:-1].replace("/", "\\/")
        case ".NET's JSON":
            units = secret.encode("utf-16-be").hex().upper()
            written = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
        case "JSON in JSON in HTML":
            written = html.escape(json.dumps(json.dumps(secret)))
        case "numbers in HTML":
            written = "".join(f"&#x{ord(one):X};" for one in secret)
        case "bytes in Python":
            written = "".join(f"\\x{byte:02x}" for byte in secret.encode())
        case "upper":
            written = secret.upper()
        case "lower":
            written = secret.lower()
        case "swapped":
            written = secret.swapcase()
        case _:
            written = quote_plus(quote(secret, safe=""))
    return written, written


@given(SECRETS, ENCODINGS, AROUND, AROUND, st.booleans(), NAMES)
def test_a_secret_never_survives_encoded_or_in_another_case(
    secret, encoding, before, after, is_url_safe, name
):
    written, telling = encoded(secret, encoding, before, after, is_url_safe=is_url_safe)
    texts = [
        redact_text(f"it said {written} then", {secret}),
        redact_text(f"<a href='https://x.example/{quote(written)}?q={quote(written)}'>", {secret}),
        redact_headers({name: f"{before} {written}"}, {secret})[name],
        redact_body(json.dumps({name: {"deep": [written], written: 1}}), "", {secret}),
        redact_body(urlencode({name: written, "other": "1"}), FORM, {secret}),
        redact_body(f"<p>{written}</p>", "text/html", {secret}),
        redact_url(
            f"https://x.example/p/{quote(written, safe='')}?{urlencode({'q': written})}", {secret}
        ),
    ]
    hidden = {telling, quote(telling, safe=""), quote_plus(telling), json.dumps(telling)[1:-1]}
    assert not [text for text in texts if any(one in text for one in hidden)]


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ("Basic YWRhO[redacted]==", "Basic YWRhOlMzY3IzdC1WYWx1ZQ=="),
        ("a YWRhO[redacted] b", "a YWRhOlMzY3IzdC1WYWx1ZQ b"),
        ("a [redacted] b", "a s3CR3T-value b"),
        ("a [redacted] b", "a 53336372337431d56616c7565 b".replace("31d", "2d")),
        ("https://x.example/a/[redacted]?b=c", "https://x.example/a/S3cr3t%252DValue?b=c"),
    ],
)
def test_what_surrounds_an_encoded_secret_stays_readable(shown, text):
    assert redact_text(text, {"S3cr3t-Value"}) == shown


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ('{\\"note\\":\\"[redacted]\\"}', '{\\"note\\":\\"s3cr3t\\/with+signs==\\"}'),
        ("a [redacted] b", "a s3cr3t/with\\u002Bsigns\\u003d\\u003D b"),
        ("<p title='a'>[redacted]</p>", "<p title='a'>s3cr3t&#x2F;with&#43;signs==</p>"),
        ("Basic YWRhO[redacted]==\n", "Basic YWRhOnMzY3IzdC93aXRo\r\n K3NpZ25zPT0==\n"),
    ],
)
def test_an_escaped_secret_is_hidden_and_what_surrounds_it_stays(shown, text):
    assert redact_text(text, {"s3cr3t/with+signs=="}) == shown


def test_a_key_of_several_lines_is_hidden_however_its_lines_end():
    key = "-----BEGIN KEY-----\nMIIBOgIBAAJB\nAKj34GkxFhD9\n-----END KEY-----"
    for line_end in ("\r\n", "\n  ", "\\n", "\\r\\n", ""):
        for text in (key.replace("\n", line_end), json.dumps(key.replace("\n", line_end))):
            assert "AKj34GkxFhD9" not in redact_text(f"it said {text} then", {key})


@given(SECRETS, NAMES)
def test_a_secret_in_a_query_never_survives(secret, name):
    shown = redact_url(f"https://x.example/p?{urlencode({name: f'1{secret}2'})}", {secret})
    assert not survivors(secret, shown)


@given(SECRETS)
def test_a_secret_in_a_path_or_fragment_never_survives(secret):
    encoded = quote(secret, safe="")
    shown = redact_url(f"https://u:{encoded}@x.example/k/{encoded}/#{encoded}", {secret})
    assert not survivors(secret, shown)
    assert "x.example" in shown


@given(SECRETS, NAMES)
def test_a_secret_in_a_header_never_survives(secret, name):
    assert not survivors(secret, str(redact_headers({name: f"1{secret}2"}, {secret})[name]))


@given(SECRETS, NAMES, st.booleans())
def test_a_secret_in_a_json_body_never_survives(secret, name, is_ascii):
    body = {name: [{"deep": f"1{secret}2", secret: 1}], "list": [secret]}
    shown = redact_body(json.dumps(body, ensure_ascii=is_ascii), "application/json", {secret})
    assert not survivors(secret, shown)
    assert json.loads(shown)


@given(SECRETS, NAMES)
def test_a_secret_in_a_form_body_never_survives(secret, name):
    shown = redact_body(urlencode({name: f"1{secret}2", secret: "x"}), FORM, {secret})
    assert not survivors(secret, shown)


@given(SECRETS)
def test_a_secret_in_free_text_never_survives(secret):
    for form in forms_of(secret):
        assert not survivors(secret, redact_text(f"1{form}2", {secret}))


@given(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
    st.sampled_from(["json", "form", "url"]),
)
def test_a_field_of_a_secret_name_is_hidden_though_its_value_is_unknown(value, place):
    value = f"Q{value}Q"
    shown = {
        "json": redact_body(json.dumps({"client_secret": value, "nested": {"tokens": [value]}})),
        "form": redact_body(urlencode({"client_secret": value}), FORM),
        "url": redact_url(f"https://x.example/?{urlencode({'apiSecret': value})}"),
    }[place]
    assert value not in shown


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "user.password",
        "userPassword",
        "access_token",
        "accesstoken",
        "refreshToken",
        "X-Api-Key",
        "DD-API-KEY",
        "apikey",
        "apiSecret",
        "client_secret",
        "code",
        "code_verifier",
        "state",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "tokens",
        "X-Auth",
        "sessionId",
        "oauth.api.key",
        "db.passwd",
        "account.pin",
        "user.pwd",
        "userpwd",
        "db_pass",
        "session.id",
        "client.assertion",
        "client_assertion",
        "passcode",
        "passcodes",
        "x_amz_security_token",
        "X-Amz-Signature",
        "X-Amz-Credential",
        "AWSAccessKeyId",
        "oauth_verifier",
        "SAMLResponse",
        "id_token",
        "jwt",
        "sas",
        "sasToken",
        "sig",
        "otp",
        "TOTP",
        "mfa_code",
        "seed",
        "private_key",
        "privatekey",
        "signingKeys",
        "client.pfx",
        "pkcs12",
        "credentials",
        "creds",
        "connectionString",
        "X-CSRF-Token",
        "JSESSIONID",
        "passwordhash",
        "tokenid",
        "Proxy-Authorization",
    ],
)
def test_these_names_are_secret(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "note",
        "username",
        "monkey",
        "keyword",
        "token_type",
        "tokenType",
        "status_code",
        "element_key",
        "from_state",
        "author",
        "Content-Type",
        "error_description",
        "grant_type",
        "tenant",
        "expires_in",
        "oauth.callback.url",
        "oauth.authorization.url",
        "oauth.token.url",
        "authentication.type",
        "authType",
        "error.code",
        "key",
        "token_expires_in",
        "session.timeout",
        "mfa.enabled",
        "client_assertion_type",
        "password_changed_at",
        "bypass",
        "compass",
        "signal",
        "assign",
        "seedling",
        "opinion",
        "pinned",
        "",
    ],
)
def test_these_names_are_not(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize("name", ["key", "key.id", "element.key"])
def test_a_key_of_a_configuration_is_secret_where_that_of_a_record_is_not(name):
    assert is_secret_key(name)
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "see https://x.example/cb?code=abc&state=d1&x=1",
            f"see https://x.example/cb?code={REDACTED}&state={REDACTED}&x=1",
        ),
        (
            "GET /oauth/callback?oauth_token=abc&oauth_verifier=d1e2&realm=x",
            f"GET /oauth/callback?oauth_token={REDACTED}&oauth_verifier={REDACTED}&realm=x",
        ),
        ("Authorization: Bearer abc", f"Authorization: {REDACTED}"),
        ("sent Bearer abcdefghijklmnop1", f"sent Bearer {REDACTED}"),
        ('{"password": "two words", "half', f'{{"password": "{REDACTED}", "half'),
        ("{'token': 'a b'}", f"{{'token': '{REDACTED}'}}"),
        (
            "No Element instance found; Basic authentication failed",
            "No Element instance found; Basic authentication failed",
        ),
        ("Invalid Organization or User secret, or invalid Element token provided.",) * 2,
    ],
)
def test_free_text_stays_readable(text, shown):
    assert redact_text(text) == shown


def test_an_errors_code_stays_readable_and_an_authorization_code_does_not():
    assert (
        json.loads(redact_body('{"error": {"code": "0x80040217", "message": "m"}}'))["error"][
            "code"
        ]
        == "0x80040217"
    )
    assert json.loads(redact_body('{"code": "4/abc"}'))["code"] == REDACTED
    assert json.loads(redact_body('{"code": 401, "token": 123456789}')) == {
        "code": 401,
        "token": REDACTED,
    }


def test_short_secrets_are_hidden_where_they_are_the_whole_value():
    assert redact_body('{"pin code is": "ab", "n": 12}', "", {"ab", "12"}).count(REDACTED) == 2
    assert redact_body("a=ab", FORM, {"ab"}) == f"a={REDACTED}"


@pytest.mark.parametrize("name", ["oauth_verifier", "oauth_token", "code", "code_verifier"])
def test_what_a_callback_brings_is_hidden_by_its_name_wherever_it_stands(name):
    pair = {name: "Q1w2E3"}
    shown = [
        redact_url(f"https://x.example/oauth/callback?{urlencode(pair)}"),
        redact_body(urlencode(pair), FORM),
        redact_body(json.dumps({"providerData": pair})),
        redact_headers(pair)[name],
        redact_text(f'OAuth {name}="Q1w2E3", oauth_version="1.0"'),
    ]
    assert not [text for text in shown if "Q1w2E3" in text]


def test_long_bodies_are_cut_after_they_are_redacted():
    body = "x" * (MAX_BODY_CHARACTERS - 3) + "my-secret-value" + "y" * 100
    shown = redact_body(body, "text/plain", {"my-secret-value"})
    assert len(shown) < MAX_BODY_CHARACTERS + 50
    assert "my-" not in shown.removesuffix(REDACTED)
    assert shown.endswith("more characters]")


@pytest.mark.parametrize(
    "unit",
    [
        "a", "token", "a=", "a.b-", '"', "\\", "Bearer ", '{"a":', "= ", "token=x ", 'token="',
        "%", "%25", "%41 ", "a%20/", "aaaaaaaaa ", "İ", "c29tZS1zZWNyZXQ ",
        "\\u0041", "\\x41 ", "&#65;",
    ],
)  # fmt: skip
def test_a_hostile_body_takes_no_time(unit):
    began = thread_time()
    redact_body(unit * (1024 * 1024 // len(unit)) + "some-secret", "text/html", {"some-secret"})
    assert thread_time() - began < 5


def test_nul_and_halves_of_surrogate_pairs_are_left_out():
    assert redact_body('{"a": "\\ud800\\u0000b"}') == '{"a": "?b"}'


def test_nul_characters_are_left_out():
    assert redact_body("a\x00b") == "ab"


def test_a_url_that_is_none_shows_nothing():
    assert redact_url("http://[bad?token=abc") == REDACTED


def test_log_lines_are_redacted_json(caplog):
    formatter = log_formatter()
    structlog.stdlib.get_logger("instances.test").warning(
        "said password=abc", token="t0ken", from_state="draft"
    )
    logging.getLogger("other").error(
        "url %s", "https://x.example/?code=abc", extra={"secret": "hidden"}
    )
    lines = [json.loads(formatter.format(record)) for record in caplog.records]
    assert lines[0]["event"] == f"said password={REDACTED}"
    assert (lines[0]["token"], lines[0]["from_state"], lines[0]["level"]) == (
        REDACTED,
        "draft",
        "warning",
    )
    assert lines[1]["event"] == f"url https://x.example/?code={REDACTED}"
    assert "hidden" not in str(lines)


def test_a_traceback_in_the_log_is_redacted(caplog):
    try:
        raise RuntimeError("password=abc-of-the-account")
    except RuntimeError:
        logging.getLogger("other").exception("failed")
    line = log_formatter().format(caplog.records[0])
    assert "RuntimeError" in line
    assert "abc-of-the-account" not in line


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("body", ['{{"note": "{}"}}', '{{"note": "{}"', "{}", '{{"n": "%{}"}}'])
def test_a_secret_in_any_part_of_an_exchange_is_replaced(place, body):
    shown = ["plain"] * 5
    shown[place] = base64.b64encode(b"id:S3cr3t-Value").decode()
    url, messages = redact_exchange(
        f"https://x.example/{shown[0]}",
        [
            RecordedMessage(
                {"X-Note": shown[1], "Authorization": "S3cr3t-Value"}, body.format(shown[2])
            ),
            RecordedMessage({"X-Note": shown[3]}, body.format(shown[4])),
        ],
        {"S3cr3t-Value"},
    )
    parts = [url, *(part for message in messages for part in (str(message.headers), message.body))]
    assert [REDACTED in part for part in parts] == [
        number == place or number == 1 for number in range(5)
    ]
    assert ["plain" in part for part in parts] == [number != place for number in range(5)]
    assert "S3cr3t" not in str(parts)
    assert not any(text in str(parts) for text in {*shown} - {"plain"})


def test_a_secret_in_json_that_is_nested_too_deeply_is_replaced():
    deep = 100_000 * "[" + '"S3cr3t-Value"'
    for body in (deep, deep + 100_000 * "]", 900 * "[" + '{"token": "S3cr3t-Value"}' + 900 * "]"):
        shown = redact_body(body, "", {"S3cr3t-Value"}, max_characters=300_000)
        assert "S3cr3t" not in shown
        assert REDACTED in shown
