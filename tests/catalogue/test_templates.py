"""URL templates: no configuration value can send a credential elsewhere than the template means."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, strategies as st

from instances.catalogue.templates import fill_text, fill_url, overridden
from instances.errors import InputError, InvalidConfigurationError, MissingConfigurationError

# Text as people and attackers type it: hosts, URLs, and the characters that URLs are cut at.
VALUES = st.one_of(
    st.text(st.characters(), max_size=30),
    st.text("aA1.-_:/@#?\\%&= \t\n[]{}", max_size=30),
    st.from_regex(r"(https?://)?[a-z.]{1,9}[@#\\/?:%]?[a-z.]{1,9}(:[0-9]{1,6})?/?", fullmatch=True),
)


@pytest.mark.parametrize(
    "given_value",
    [
        "acme.crm.dynamics.com",
        "  acme.crm.dynamics.com ",
        "https://acme.crm.dynamics.com/",
        "http://acme.crm.dynamics.com",
        "HTTPS://ACME.crm.dynamics.com/main.aspx?etc=1#x",
        "acme.crm.dynamics.com/",
        "acme.crm.dynamics.com.",
    ],
)
def test_a_whole_host_is_made_a_bare_host(given_value):
    url = fill_url("https://{dynamics.tenant}/api/WhoAmI", {"dynamics.tenant": given_value})

    assert url == "https://acme.crm.dynamics.com/api/WhoAmI"


def test_a_whole_host_may_have_a_port():
    assert fill_url("https://{host}/x", {"host": "crm.acme.test:8443"}) == (
        "https://crm.acme.test:8443/x"
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "good.example@evil.example",
        "evil.example#",
        "evil.example?",
        "evil.example\\.good.example",
        "evil%2eexample",
        "evil.example:99999",
        "evil.example:http",
        "ev il.example",
        "evil\n.example",
        "https://https://evil.example",
        "-evil.example",
        "evil..example",
        "évil.example",
        "[::1]",
        "a" * 64 + ".example",
        "a." * 130 + "example",
        "/evil.example",
    ],
)
def test_a_value_that_is_no_host_is_refused_without_being_repeated(hostile):
    with pytest.raises(InvalidConfigurationError, match=r"dynamics\.tenant") as raised:
        fill_url("https://{dynamics.tenant}/x", {"dynamics.tenant": hostile})

    assert hostile not in str(raised.value)


@pytest.mark.parametrize(
    "hostile", ["evil.example/", "evil.example:80", "evil.example#", "a@b", ".", "https://a"]
)
def test_a_part_of_a_host_name_is_nothing_but_labels(hostile):
    with pytest.raises(InvalidConfigurationError, match="subdomain"):
        fill_url("https://{subdomain}.zendesk.com/x", {"subdomain": hostile})


def test_a_host_name_that_grows_too_long_is_refused():
    with pytest.raises(InvalidConfigurationError, match="subdomain"):
        fill_url("https://x{subdomain}.zendesk.com/x", {"subdomain": "a" * 63})


def test_values_in_path_and_query_are_percent_encoded():
    url = fill_url(
        "https://api.example/{company}/meta?q={word}", {"company": "a/b?c#d", "word": "x&y=ü"}
    )

    assert url == "https://api.example/a%2Fb%3Fc%23d/meta?q=x%26y%3D%C3%BC"


@pytest.mark.parametrize("dots", [".", "..", " .. "])
def test_dots_cannot_climb_out_of_a_path(dots):
    with pytest.raises(InvalidConfigurationError, match="company"):
        fill_url("https://api.example/{company}/meta", {"company": dots})


def test_a_character_that_no_url_can_carry_is_refused():
    with pytest.raises(InvalidConfigurationError, match="company"):
        fill_url("https://api.example/{company}", {"company": "a\ud800"})


def test_a_template_that_begins_with_a_variable_takes_a_whole_url():
    values = {"base.url": " HTTP://Jira.acme.test:8080/tracker/ "}

    assert fill_url("{base.url}/rest/myself", values) == (
        "http://jira.acme.test:8080/tracker/rest/myself"
    )
    assert fill_url("{base.url}", {"base.url": "https://acme.test"}) == "https://acme.test"


@pytest.mark.parametrize(
    "hostile",
    [
        "jira.acme.test",
        "ftp://jira.acme.test",
        "javascript:alert(1)",
        "https://",
        "https://user:pass@jira.acme.test",
        "https://jira.acme.test?x=1",
        "https://jira.acme.test/?x=1",
        "https://jira.acme.test/#",
        "https://jira.acme.test/a/../b",
        "https://jira.acme.test\\@evil.example",
        "https://jira.acme.test/a b",
    ],
)
def test_what_is_no_plain_url_is_refused(hostile):
    with pytest.raises(InvalidConfigurationError, match=r"base\.url"):
        fill_url("{base.url}/rest/myself", {"base.url": hostile})


def test_every_missing_variable_is_named_at_once():
    with pytest.raises(MissingConfigurationError) as raised:
        fill_url("https://{a}.example/{b}?c={c}&again={a}", {"b": "x", "c": " "})

    assert raised.value.keys == ["a", "c"]


def test_text_is_filled_as_it_stands():
    values = {"access_token": "t0k", "scheme": "OAuth {access_token}"}

    assert fill_text("OAuth {access_token}", values) == "OAuth t0k"
    assert fill_text("{scheme}", values) == "OAuth {access_token}"  # once, not again
    assert fill_text("application/json", {}) == "application/json"


def test_text_that_is_a_url_is_filled_as_a_url():
    values = {"dynamics.tenant": "https://acme.crm.dynamics.com/"}

    assert fill_text("https://{dynamics.tenant}", values) == "https://acme.crm.dynamics.com"


@pytest.mark.parametrize("control", ["\n", "\r\nX-Evil: 1", "\0", "\x7f"])
def test_text_with_a_control_character_is_refused_without_being_repeated(control):
    with pytest.raises(InvalidConfigurationError, match=r"api\.key") as raised:
        fill_text("{api.key}", {"api.key": f"s3cret{control}"})

    assert "s3cret" not in str(raised.value)


def test_text_without_its_value_is_missing():
    with pytest.raises(MissingConfigurationError, match=r"api\.key"):
        fill_text("{api.key}", {"api.key": ""})


def test_the_longest_overridden_prefix_wins():
    overrides = {
        "https://login.example/": "/sandbox/",
        "https://login.example/v2/": "http://127.0.0.1:9/two/",
    }

    assert overridden("https://login.example/token", overrides, public_url="http://here:8000/") == (
        "http://here:8000/sandbox/token"
    )
    assert overridden("https://login.example/v2/token", overrides, public_url="http://here") == (
        "http://127.0.0.1:9/two/token"
    )
    assert overridden("https://other.example/", overrides, public_url="http://here") == (
        "https://other.example/"
    )


@given(VALUES)
def test_no_value_changes_the_host_of_a_sub_domain(value):
    url = _filled_or_none("https://{subdomain}.zendesk.com/oauth/tokens", {"subdomain": value})

    if url is not None:
        parts = urlsplit(url)
        assert parts.hostname == f"{value.strip().lower()}.zendesk.com"
        assert (parts.port, parts.username, parts.path) == (None, None, "/oauth/tokens")


@given(VALUES)
def test_no_value_of_a_whole_host_does_more_than_name_a_host(value):
    url = _filled_or_none("https://{host}/api", {"host": value})

    if url is not None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.hostname in value.lower()
        assert (parts.username, parts.path, parts.query, parts.fragment) == (None, "/api", "", "")


@given(VALUES, VALUES)
def test_no_value_leaves_its_place_in_path_and_query(in_path, in_query):
    template = "https://api.example/v1/{one}/x?q={two}&z=1"
    url = _filled_or_none(template, {"one": in_path, "two": in_query})

    if url is not None:
        parts = urlsplit(url)
        assert parts.netloc == "api.example"
        assert parts.fragment == ""
        segments = parts.path.split("/")
        assert segments[:2] + segments[3:] == ["", "v1", "x"]
        assert parse_qs(parts.query, keep_blank_values=True) == {"q": [in_query], "z": ["1"]}


@given(VALUES)
def test_no_url_smuggles_in_credentials_query_or_fragment(value):
    url = _filled_or_none("{base.url}/rest", {"base.url": value})

    if url is not None:
        parts = urlsplit(url)
        assert parts.scheme in {"http", "https"}
        assert parts.hostname
        assert parts.path.endswith("/rest")
        assert (parts.username, parts.query, parts.fragment) == (None, "", "")


def _filled_or_none(template: str, values: dict[str, str]) -> str | None:
    try:
        return fill_url(template, values)
    except InputError:
        return None
