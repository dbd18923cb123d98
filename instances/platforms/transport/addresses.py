"""Tell public IP addresses from special-purpose ones."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

# The IANA IPv4 Special-Purpose Address Registry with the RFCs it names, plus the addresses that clouds use.
_NOT_PUBLIC_IPV4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # "this network": RFC 791 3.2
        "10.0.0.0/8",  # private use: RFC 1918
        "100.64.0.0/10",  # shared address space, Alibaba's metadata (100.100.100.200): RFC 6598
        "127.0.0.0/8",  # loopback: RFC 1122 3.2.1.3
        "168.63.129.16/32",  # Azure's WireServer, in a public range: "What is IP address 168.63.129.16?"
        "169.254.0.0/16",  # link local, most clouds' metadata (169.254.169.254): RFC 3927
        "172.16.0.0/12",  # private use: RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments, Oracle's metadata (192.0.0.192): RFC 6890 2.1
        "192.0.2.0/24",  # documentation: RFC 5737
        "192.31.196.0/24",  # AS112, a sink for queries about private addresses: RFC 7535
        "192.52.193.0/24",  # automatic multicast tunnelling: RFC 7450
        "192.88.99.0/24",  # 6to4 relays, deprecated: RFC 7526
        "192.168.0.0/16",  # private use: RFC 1918
        "192.175.48.0/24",  # AS112: RFC 7534
        "198.18.0.0/15",  # benchmarking: RFC 2544
        "198.51.100.0/24",  # documentation: RFC 5737
        "203.0.113.0/24",  # documentation: RFC 5737
        "224.0.0.0/4",  # multicast: RFC 5771
        "240.0.0.0/4",  # reserved, limited broadcast: RFC 1112 4, RFC 8190
    )
)
# The block that IANA assigns global unicast addresses from (RFC 4291 2.4). It excludes, among others, loopback, ::/96,
# SIIT (::ffff:0:0:0/96, RFC 7915), local NAT64 (64:ff9b:1::/48, RFC 8215), discard-only (100::/64, RFC 6666),
# segment routing (5f00::/16, RFC 9602), unique local addresses with AWS's metadata (fc00::/7 with fd00:ec2::254,
# RFC 4193), link local (fe80::/10), site local (fec0::/10, RFC 3879) and multicast (ff00::/8).
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# The entries of the IANA IPv6 Special-Purpose Address Registry within global unicast.
_NOT_PUBLIC_IPV6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocol assignments, Teredo (2001::/32), ORCHIDv2 (2001:20::/28): RFC 2928
        "2001:db8::/32",  # documentation: RFC 3849
        "2002::/16",  # 6to4, which wraps any IPv4 address; deprecated with its relays: RFC 3056, RFC 7526
        "2620:4f:8000::/48",  # AS112: RFC 7534
        "3fff::/20",  # documentation: RFC 9637
    )
)
# These prefixes wrap an IPv4 address in their last 32 bits; it decides whether they are public.
_WRAPPED_IPV4 = (
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped: RFC 4291 2.5.5.2
    IPv6Network("64:ff9b::/96"),  # NAT64's well-known prefix: RFC 6052 2.1
)


# Metadata services of clouds: link-local addresses, and the few that use others.
_METADATA = tuple(
    ip_network(block)
    for block in (
        "100.100.100.200/32",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "192.0.0.192/32",
        "fd00:ec2::254/128",
        "fe80::/10",
    )
)


def is_public(address: str) -> bool:
    """Whether an IP address is public. A wrapped IPv4 address is checked as IPv4."""
    ip = _unwrapped(address)
    if isinstance(ip, IPv4Address):
        return not any(ip in block for block in _NOT_PUBLIC_IPV4)
    return ip in _GLOBAL_UNICAST and not any(ip in block for block in _NOT_PUBLIC_IPV6)


def is_metadata(address: str) -> bool:
    """Whether a machine's metadata service may answer there.

    No list of private hosts may open such an address.
    """
    ip = _unwrapped(address)
    return any(ip in block for block in _METADATA)


def _unwrapped(address: str) -> IPv4Address | IPv6Address:
    ip = ip_address(address)
    if any(ip in block for block in _WRAPPED_IPV4):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip
