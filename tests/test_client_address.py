"""Which address a request counts for: the proxies of the operator are believed, and nobody else."""

import pytest
from django.test import RequestFactory

from instances.client_address import client_address

PROXY = "10.0.0.1"


def address_of(forwarded: str | None = None, *, remote: str = PROXY) -> str:
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=remote, headers=headers))


@pytest.mark.parametrize("forwarded", [None, "198.51.100.7", "198.51.100.7, 203.0.113.9"])
def test_without_a_proxy_nobody_chooses_their_address(forwarded):
    assert address_of(forwarded, remote="203.0.113.5") == "203.0.113.5"


@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (1, "203.0.113.5", "203.0.113.5"),
        (1, "198.51.100.7, 203.0.113.5", "203.0.113.5"),
        (1, "198.51.100.7,203.0.113.5 ", "203.0.113.5"),
        (2, "198.51.100.7, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        (2, "203.0.113.5, 10.0.0.2", "203.0.113.5"),
        # With a port, as some proxies write it.
        (1, "203.0.113.5:49152", "203.0.113.5"),
        (1, "[2001:db8:1:2:3::4]:443", "2001:db8:1:2::/64"),
        (1, "::ffff:203.0.113.5", "203.0.113.5"),
        (1, "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        (1, "2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        (1, "fe80::1%eth0", "fe80::/64"),
    ],
)
def test_behind_proxies_the_entry_of_the_outermost_counts(settings, hops, forwarded, expected):
    settings.TRUSTED_PROXY_COUNT = hops
    assert address_of(forwarded) == expected


@pytest.mark.parametrize(
    ("hops", "forwarded"),
    [
        (1, None),
        (1, ""),
        (1, "unknown"),
        (1, "203.0.113.5, "),
        (1, "203.0.113.5, _hidden"),
        (1, "999.1.1.1"),
        (1, "203.0.113.5:port"),
        (1, "[2001:db8::1"),
        (1, "\u0662.1.1.1"),
        (2, "203.0.113.5"),
        (3, "203.0.113.5, 10.0.0.2"),
    ],
)
def test_a_header_that_is_missing_short_or_garbled_counts_for_the_proxy(settings, hops, forwarded):
    settings.TRUSTED_PROXY_COUNT = hops
    assert address_of(forwarded) == PROXY


@pytest.mark.parametrize(
    ("remote", "expected"), [("", ""), ("2001:db8::1", "2001:db8::/64"), ("unix:", "")]
)
def test_the_peer_may_have_ipv6_or_no_address_at_all(remote, expected):
    assert address_of(remote=remote) == expected
