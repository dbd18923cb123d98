"""No path makes the proxy call another host, or leave the base path of the element's API."""

import re
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from instances.errors import InvalidCallError
from instances.hubs import proxy
from instances.hubs.proxy import checked_target

BASE = "https://api.example.com/v1"
TRICKS = (
    "..", "../..", "v1/../../admin", "%2e%2e", "%2E%2e/x", ".%2e", "%2e", ".", "x/./y", "x/..;/y", "..;a=b/x",
    "%252e%252e/x", "%25252e%25252e/x", "x%2fy", "x%2Fy", "%252f", "x%5cy", "%255c", "\\evil.example", "x\\y",
    "/evil.example/x", "//evil.example/x", "x//y", "https://evil.example/x", "HTTP://evil.example", "file:/etc/passwd",
    "x%0d%0aHost:%20evil.example", "x%0aa", "x%00", "x%7f", "x\r\nHost: evil.example", "x y", "\tx", "é", "x#y", "x?y",
    "%", "%2", "%zz", "%c0%ae%c0%ae/x", "%c0%af", "%e0%80%af", "\uff0e\uff0e", "%EF%BC%8E%EF%BC%8E/x",
    "%EF%BC%8E.%EF%BC%8F", "..%3fx", "x/%2e%2e%23y", "..%253f", "..%EF%BC%9Fx", "%" + "25" * 4 + "41", "{x}", "[x]", "x|y", "x^y", "x`y", '"x"', "<x>",
)  # fmt: skip
HARMLESS = (
    "", "contacts", "v2/contacts/", "contacts(7)", "a;b=c,d", "@me", "user:pass@host", "a%20b", "%C3%A9", "100%25",
    "...", "..a", "a..", ".well-known/x", "a:b", "mailto:x", "x%3Fy%23z", "%E6%97%A5", "~x", "$batch", "a=b&c",
)  # fmt: skip


@pytest.mark.parametrize("path", TRICKS)
def test_a_path_that_may_lead_elsewhere_is_refused(path):
    with pytest.raises(InvalidCallError):
        checked_target(path, "")


@pytest.mark.parametrize("path", HARMLESS)
def test_any_other_path_is_sent_byte_for_byte(path):
    assert checked_target(path, "") == path
    assert checked_target(path, "a=b%2F..&c") == f"{path}?a=b%2F..&c"


@pytest.mark.parametrize("query", ["a b", "a\r\nHost: x", "a\x00", "é", "a\x7f", "a#b"])
def test_a_query_that_ends_the_request_line_is_refused(query):
    with pytest.raises(InvalidCallError):
        checked_target("contacts", query)


def resolved(path):
    """The path as the most careless server reads it: decoded again and again, backslashes as slashes, dots resolved."""
    for _ in range(5):
        path = unquote(path)
    names: list[str] = []
    for name in path.replace("\\", "/").split("/"):
        name = re.split("[;?#]", name)[0]
        if name == "..":
            names = names[:-1]
        elif name not in {"", "."}:
            names.append(name)
    return "/" + "/".join(names)


PIECES = st.sampled_from(
    [
        "..", ".", "/", "//", "\\", "%2e", "%2E", "%2f", "%5c", "%25", "2e", "2f", "@", ":", ";", "?", "#", "http:",
        "https://evil.example", "evil.example", "%0d%0a", "\r\n", "%00", " ", "a", "v1", "%c0%ae", "%c0%af", "\uff0e",
        "%EF%BC%8E", "\u2024", "\u2215", "é", "&", "=", "%", "[::1]", "user:pw@", "admin",
    ]
)  # fmt: skip


@pytest.mark.slow
@settings(
    max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
@given(st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join), st.text(max_size=5))
def test_what_is_accepted_stays_below_the_base(path, query):
    try:
        target = checked_target(path, query)
    except InvalidCallError:
        return
    parts = urlsplit(f"{BASE}/{target}")
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "api.example.com", "")
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    assert resolved(parts.path) == "/v1" or resolved(parts.path).startswith("/v1/")


def test_decoding_ends_after_a_few_rounds(monkeypatch):
    """A path that is encoded thirty thousand times would hold the processor for half a minute."""
    rounds = []

    def count(*args, **options):
        rounds.append(1)
        return unquote(*args, **options)

    monkeypatch.setattr(proxy, "unquote", count)
    with pytest.raises(InvalidCallError):
        checked_target("%" + "25" * 30_000 + "2e", "")
    assert len(rounds) < 10


@pytest.mark.parametrize("path", ["..%2fadmin", "%2e%2e/admin", "a//b", "%2Fevil.example", "a%5Cb"])
def test_a_refused_path_is_400_and_nothing_is_sent(path, program, provider_api):
    response = raw_get(program, path)
    assert response.status_code == 400, response.content
    assert "requestId" in response.json()
    assert "Elements-Provider-Status" not in response
    assert provider_api.received == []


def raw_get(program, path):
    """A call whose path reaches the program as it is sent, as gunicorn gives it."""
    return program.api.django.get(
        f"/elements/api-v2/proxy/{path}",
        headers={"Authorization": program.header()},
        RAW_URI=f"/elements/api-v2/proxy/{path}",
    )


@pytest.mark.parametrize("sent", ["/elements/api-v2/pr%6fxy/x", "/elements/api-v2/proxy%2Fx"])
def test_the_path_of_the_proxy_itself_is_not_encoded(sent, program, provider_api):
    response = program.api.django.get(
        "/elements/api-v2/proxy/x", headers={"Authorization": program.header()}, RAW_URI=sent
    )
    assert response.status_code == 400
    assert provider_api.received == []


def test_an_encoded_path_is_sent_as_the_client_encoded_it(program, provider_api):
    response = raw_get(program, "a%c3%a9/%7Ex/?q=%2f")
    assert response.getvalue() == b'{"ok": true}'
    assert provider_api.last.target == "/api/a%c3%a9/%7Ex/?q=%2f"
