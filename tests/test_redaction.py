"""What a recorded exchange, a log line or an error may show."""

import json
import logging
from time import perf_counter
from urllib.parse import quote, quote_plus, urlencode

import pytest
import structlog
from hypothesis import given, strategies as st

from instances.redaction import (
    MAX_BODY_CHARACTERS,
    REDACTED,
    is_secret_name,
    log_formatter,
    redact_body,
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


def forms_of(secret):
    ascii_json, raw_json = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    return {secret, quote(secret, safe=""), quote_plus(secret), ascii_json, raw_json}


def survivors(secret, shown):
    return [form for form in forms_of(secret) if form in shown]


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
    ],
)
def test_these_names_are_not(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "see https://x.example/cb?code=abc&state=d1&x=1",
            f"see https://x.example/cb?code={REDACTED}&state={REDACTED}&x=1",
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


def test_long_bodies_are_cut_after_they_are_redacted():
    body = "x" * (MAX_BODY_CHARACTERS - 3) + "my-secret-value" + "y" * 100
    shown = redact_body(body, "text/plain", {"my-secret-value"})
    assert len(shown) < MAX_BODY_CHARACTERS + 50
    assert "my-" not in shown.removesuffix(REDACTED)
    assert shown.endswith("more characters]")


@pytest.mark.parametrize(
    "unit", ["a", "token", "a=", "a.b-", '"', "\\", "Bearer ", '{"a":', "= ", "token=x ", 'token="']
)
def test_a_hostile_body_takes_no_time(unit):
    began = perf_counter()
    redact_body(unit * (1024 * 1024 // len(unit)), "text/html", {"some-secret"})
    assert perf_counter() - began < 5


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
