"""The whole catalogue as a table: each way can be verified or says why not, and tokens come from the provider itself."""

import re
from urllib.parse import urlsplit

from instances.catalogue.availability import Availability
from instances.catalogue.loading import SHIPPED_FOLDER, shipped_elements
from instances.catalogue.templates import authority_of

ELEMENTS = [element for element in shipped_elements() if not element.alias_of]
WAYS = {f"{element.key} {way.type}": way for element in ELEMENTS for way in element.authentication}
# Domains of the provider's that an element names only in a token endpoint.
OTHER_DOMAINS = {
    "dynamicscrmadfs": {"microsoftonline.com", "microsoftonline.us", "microsoftonline.cn"},
}
# Where something was looked up, or that it was not.
SOURCE = re.compile(
    r"^# .*(https?://|\.com/|general knowledge|portal|Nango|page|documentation|Source|Microsoft|Intuit|Zoho)",
    re.M,
)


def domain_of(host):
    """The last two labels of a host or a pattern."""
    return ".".join(host.split(".")[-2:])


def parts_of(way):
    return (way, *way.variants)


def hosts_named(way):
    """The hosts and patterns that a way names beside its token endpoints."""
    urls = [part.authorization_endpoint for part in parts_of(way)]
    urls += [part.probe.url for part in parts_of(way) if part.probe]
    urls += [part.api.base_url for part in parts_of(way) if part.api]
    urls += [part.lookup.url for part in parts_of(way) if part.lookup]
    yield from (urlsplit(authority_of(url)).netloc for url in urls if url)
    yield from (pattern for field in way.fields for pattern in field.hosts or ())


DOMAINS = {
    element.key: {domain_of(host) for way in element.authentication for host in hosts_named(way)}
    | OTHER_DOMAINS.get(element.key, set())
    for element in ELEMENTS
}


def endpoints(way, *names):
    return {url for part in parts_of(way) for name in names if (url := getattr(part, name, None))}


def token_endpoints(way):
    return endpoints(way, "token_endpoint", "refresh_endpoint", "revocation_endpoint")


def test_each_way_is_verified_by_an_exchange_or_a_probe_or_says_why_not():
    silent = [
        name
        for name, way in WAYS.items()
        if way.status == Availability.CURRENT
        and not way.probe
        and (not way.obtains_token or way.endpoints == "unknown")
    ]
    assert silent == []


def test_what_is_not_current_says_why():
    stated = {name: way for name, way in WAYS.items() if way.status != Availability.CURRENT}
    assert [name for name, way in stated.items() if not way.status_reason] == []
    retired = {name: w for name, w in stated.items() if w.status == Availability.RETIRED}
    assert [name for name, way in retired.items() if not way.use_instead] == []


def test_token_endpoints_are_https():
    plain = {
        name: url
        for name, way in WAYS.items()
        for url in token_endpoints(way)
        # A key at the start holds a URL, to a host that the element or an operator allows.
        if not url.startswith(("https://", "{"))
    }
    assert plain == {}


def test_token_endpoints_lie_under_the_hosts_of_their_element():
    elsewhere = {
        name: url
        for name, way in WAYS.items()
        for url in token_endpoints(way)
        # If a key names the end of the host, the next test is about it.
        if not (authority := authority_of(url)).endswith("}")
        and domain_of(urlsplit(authority).netloc) not in DOMAINS[name.split()[0]]
    }
    assert elsewhere == {}


def test_each_value_in_a_host_has_patterns_or_is_listed_by_operators():
    open_hosts = {
        f"{name} {variable}"
        for name, way in WAYS.items()
        for part in (way, *(way.with_variant(variant.name) for variant in way.variants))
        for variable in part.host_keys
        if not part.host_patterns(variable)
        # Without patterns, only a host that the account's owner enters, and an operator lists.
        and not any(variable in field.names and field.hosts == () for field in way.fields)
    }
    # A variant's lookup states the hosts of what it brings.
    assert {one for one in open_hosts if one.split()[-1] not in looked_up(one)} == set()


def looked_up(name):
    way = WAYS[" ".join(name.split()[:2])]
    lookups = [part.lookup for part in parts_of(way) if part.lookup]
    return {value for lookup in lookups for value in lookup.hosts}


def test_each_way_with_an_endpoint_or_a_probe_states_its_source():
    without = []
    for path in sorted(SHIPPED_FOLDER.glob("*.toml")):
        blocks = re.split(r"(?m)^(?=\[\[authentication\]\]$|\[hub_api)", path.read_text())
        for block in blocks:
            body = re.sub(r"# Base URL:.*\n", "", block)
            is_about = re.search(r"_endpoint =", body) or "[authentication.probe]" in body
            if block.startswith("[[authentication]]") and is_about and not SOURCE.search(body):
                without.append(path.name)
    assert without == []
