"""Tell which client a request comes from, for limits per address."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

# A client with one IPv6 address usually has all 2^64 of its network (RFC 6177 2).
_IPV6_PREFIX = 64
# Some proxies add the port: 203.0.113.5:49152, [2001:db8::1]:443.
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|([\d.]+):\d+", re.ASCII)


def client_address(request: HttpRequest) -> str:
    """Return an IPv4 address or the /64 network of an IPv6 address.

    Empty if the peer has none (Unix socket).

    Each of TRUSTED_PROXY_COUNT proxies appends the address of its peer to X-Forwarded-For, so the client is that
    many entries from the right; entries further left are not trusted. If the header is missing, too short or
    malformed, the server's peer is used.
    """
    hops = settings.TRUSTED_PROXY_COUNT
    entries = request.headers.get("X-Forwarded-For", "").split(",")
    forwarded = entries[-hops] if 0 < hops <= len(entries) else ""
    return _network_of(forwarded) or _network_of(request.META.get("REMOTE_ADDR", ""))


def _network_of(text: str) -> str:
    """Return the address or network; empty if the text is not an address."""
    match = _WITH_PORT.fullmatch(text.strip())
    try:
        address = ip_address((match[1] or match[2]) if match else text.strip())
    except ValueError:
        return ""
    return str(_without_host(address))


def _without_host(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Network:
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Network((int(address), _IPV6_PREFIX), strict=False)
