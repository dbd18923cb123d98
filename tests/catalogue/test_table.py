"""The whole catalogue as a table: each way can be verified or says why not, and tokens come from the provider itself."""

from urllib.parse import urlsplit

from instances.catalogue.availability import Availability
from instances.catalogue.loading import shipped_elements
from instances.catalogue.templates import authority_of, variables_in

WAYS = {
    f"{element.key} {way.type}": way
    for element in shipped_elements()
    if not element.alias_of
    for way in element.authentication
}
# Domains of the provider's that a way names only in a token endpoint, by element.
OTHER_DOMAINS = {
    "dynamicscrmadfs": {"microsoftonline.com", "microsoftonline.us", "microsoftonline.cn"},
}


def domain_of(host):
    """The last two labels of a host or a pattern."""
    return ".".join(host.split(".")[-2:])


def domains_of(way):
    """The domains that a way names beside its token endpoints."""
    parts = (way, *way.variants)
    urls = [part.authorization_endpoint for part in parts]
    urls += [part.probe.url for part in parts if part.probe]
    urls += [part.api.base_url for part in parts if part.api]
    hosts = [urlsplit(authority_of(url)).netloc for url in urls if url]
    hosts += [pattern for field in way.fields for pattern in field.hosts or ()]
    return {domain_of(host) for host in hosts}


def other_domains(name):
    return OTHER_DOMAINS.get(name.split()[0], set())


def token_endpoints(way):
    parts = (way, *way.variants)
    return {url for part in parts for url in (part.token_endpoint, part.refresh_endpoint) if url}


def test_each_way_is_verified_by_an_exchange_or_a_probe_or_says_why_not():
    silent = [
        name
        for name, way in WAYS.items()
        if way.status == Availability.CURRENT
        and not way.probe
        and (not way.obtains_token or way.endpoints == "unknown")
    ]
    assert silent == []


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
        if not variables_in(authority_of(url))
        and domain_of(urlsplit(url).netloc) not in domains_of(way) | other_domains(name)
    }
    assert elsewhere == {}
