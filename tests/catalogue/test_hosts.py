"""Patterns of hosts: what they match, and which are no patterns."""

import pytest

from instances.catalogue.hosts import host_of, is_listed, parse_pattern


@pytest.mark.parametrize(
    ("pattern", "host", "is_match"),
    [
        ("login.salesforce.com", "login.salesforce.com", True),
        ("login.salesforce.com", "xlogin.salesforce.com", False),
        ("login.salesforce.com", "login.salesforce.com.evil.example", False),
        ("*.salesforce.com", "acme.my.salesforce.com", True),
        ("*.salesforce.com", "login.salesforce.com:8443", True),
        ("*.salesforce.com", "salesforce.com", False),
        ("*.salesforce.com", ".salesforce.com", False),
        ("*.salesforce.com", "evilsalesforce.com", False),
        ("*.salesforce.com", "login.salesforce.com.evil.example", False),
        ("crm.corp.example:8443", "crm.corp.example:8443", True),
        ("crm.corp.example:8443", "crm.corp.example", False),
        ("crm.corp.example:8443", "crm.corp.example:8444", False),
        ("10.0.0.5", "10.0.0.5:8443", True),
        ("10.0.0.5", "10.0.0.55", False),
        ("[fd00::5]", "[fd00::5]:8443", True),
    ],
)
def test_a_pattern_matches_whole_hosts(pattern, host, is_match):
    assert is_listed(host, [parse_pattern(pattern)]) is is_match


@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        (" Login.Salesforce.COM. ", "login.salesforce.com"),
        ("*.münchen.example", "*.xn--mnchen-3ya.example"),
        ("login。salesforce。com", "login.salesforce.com"),
        ("crm.example:08443", "crm.example:8443"),
        ("localhost:8000", "localhost:8000"),
        ("[FD00::0005]:8443", "[fd00::5]:8443"),
    ],
)
def test_a_pattern_is_kept_in_one_spelling(written, pattern):
    assert parse_pattern(written) == pattern


@pytest.mark.parametrize(
    "written",
    [
        "", "*", "*.", "*.com", "*.co.uk", "*.com.au", "*.localhost", "**.example.com", "crm.*.example.com", "*crm.example.com",
        "https://crm.example.com", "crm.example.com/path", "crm.example.com?x", "user@crm.example.com", "crm..example.com",
        "-crm.example.com", "crm.example.com:99999", "crm.example.com:", "crm%2eexample.com", "crm example.com", "*.0.0.1",
        "*.10.0.0.5", "0x7f.1", "127.1", "[::1", "a" * 64 + ".example", "crm.example\x00.com", "*.example.com:8443:1",
    ],
)  # fmt: skip
def test_what_is_no_pattern_or_allows_too_much_is_refused(written):
    with pytest.raises(ValueError, match=r"\S"):
        parse_pattern(written)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Login.Salesforce.COM:443/x", "login.salesforce.com"),
        ("http://login.salesforce.com", "login.salesforce.com:80"),
        ("https://login.salesforce.com:80/", "login.salesforce.com:80"),
        ("https://user@evil.example/login.salesforce.com", "evil.example"),
        ("https://[::1]:8443/", "[::1]:8443"),
        ("https://login.salesforce.com./", "login.salesforce.com"),
    ],
)
def test_the_host_of_an_address(url, host):
    assert host_of(url) == host
