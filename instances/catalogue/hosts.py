"""Hosts that secrets may be sent to, as patterns and in URL templates.

A host is written as `crm.example.com` or `crm.example.com:8443`: in lower case, IDNA-encoded, without a trailing dot and
without the port that https implies. The port of http is written, so that a request in clear goes to another host.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from instances.catalogue.authentication import AuthenticationType
from instances.catalogue.configuration_keys import MASK
from instances.catalogue.templates import authority_of, fill_url, variables_in
from instances.errors import InputError

_HTTP_PORT = 80
_HTTPS_PORT = 443
# The characters that IDNA treats as dots (RFC 3490 3.1).
_DOTS = re.compile("[。．｡]")  # noqa: RUF001
_PORT = re.compile(r":([0-9]{1,5})$")
_NAME = re.compile(r"(?=.{1,253}$)(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_MAX_PORT = 65535
MAX_CHOICE_CHARACTERS = 300
# Anyone can register names below these, as in co.uk.
_SHARED_SECOND_LEVELS = {"ac", "co", "com", "edu", "gov", "net", "org"}


@dataclass(frozen=True, slots=True)
class NamedHost:
    """A host, and the variables that name it in a URL template.

    Secrets that belong to a host named by one variable do not belong to the same host named by another.
    """

    host: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Hosts that are allowed in addition to an element's own."""

    # Listed by operators.
    listed: tuple[str, ...] = ()
    # The hosts that the account's own secrets belong to. Empty while an operator's OAuth app is used: only an operator
    # decides where its secret goes.
    own: frozenset[NamedHost] = frozenset()


def parse_pattern(text: str) -> str:
    """Normalise a pattern of hosts.

    It is `crm.example.com`, `crm.example.com:8443`, or `*.example.com` for all hosts below it. Without a port, it matches
    every port. Raises ValueError with a message for the user.
    """
    pattern = _DOTS.sub(".", text.strip()).lower()
    name, port = _split_port(pattern)
    is_wild = name.startswith("*.")
    name = name.removeprefix("*.").removesuffix(".")
    if name.startswith("[") or _is_numeric(name):
        if is_wild:
            raise ValueError(f"{text}: an IP address cannot have *.")
        return _address(name, text) + port
    try:
        name = name.encode("idna").decode() if not name.isascii() else name
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{text}: is not a host such as crm.example.com or *.example.com.")
    if is_wild and _is_too_wide(name.split(".")):
        raise ValueError(f"{text}: allows too many hosts. Name the provider's own domain.")
    return ("*." if is_wild else "") + name + port


def is_listed(host: str, patterns: Iterable[str]) -> bool:
    """Whether any of the patterns (of parse_pattern()) matches the host."""
    name, port = _split_port(host)
    return any(_matches(name, port, pattern) for pattern in patterns)


def host_of(url: str) -> str:
    """Return the host of a URL. Raises ValueError if it has none."""
    parts = urlsplit(url)
    name = (parts.hostname or "").removesuffix(".")
    if not name:
        raise ValueError("a URL without a host")
    name = f"[{name}]" if ":" in name else name
    port = parts.port or (_HTTP_PORT if parts.scheme == "http" else _HTTPS_PORT)
    return name if port == _HTTPS_PORT and parts.scheme == "https" else f"{name}:{port}"


def is_providers(way: AuthenticationType, name: str, host: str) -> bool:
    """Whether what this variable is part of is one of the provider's hosts, where nothing is read on the way."""
    is_in_clear = host.endswith(f":{_HTTP_PORT}")
    return not is_in_clear and is_listed(host, way.host_patterns(name))


def may_be_chosen(way: AuthenticationType, name: str, value: str) -> bool:
    """Whether a value from a provider's list, such as https://acme.example.com, is no host or is one of the provider's.

    The list must not decide where secrets go. What would be no value is never chosen: the person would be asked again.
    """
    if len(value) > MAX_CHOICE_CHARACTERS or value.strip() in {"", MASK}:
        return False
    if not way.host_patterns(name):
        return True
    try:
        # As it is filled in later, which takes neither user information, a query nor blanks.
        return is_providers(way, name, host_of(fill_url(f"{{{name}}}", {name: value})))
    except (InputError, ValueError):
        return False


def named_host(template: str, values: Mapping[str, str]) -> NamedHost | None:
    """Return the host of a template filled with these values.

    None if its host is fixed.

    Raises MissingConfigurationError, InvalidConfigurationError.
    """
    names = variables_in(authority_of(template))
    if not names:
        return None
    return NamedHost(host_of(fill_url(authority_of(template), values)), tuple(names))


def named_hosts(templates: Iterable[str], values: Mapping[str, str]) -> Iterator[NamedHost]:
    """Yield the hosts of the templates that can be filled with these values."""
    for template in templates:
        try:
            named = named_host(template, values)
        except InputError:
            # No request can be sent to it either.
            continue
        if named:
            yield named


def refused_name(
    way: AuthenticationType,
    template: str,
    named: NamedHost,
    *,
    allowed: AllowedHosts,
    configured: Collection[str],
    is_in_clear: bool = False,
) -> str | None:
    """Return the variable that names a host that is not allowed.

    None if the host is allowed.

    configured: the variables that come from the account's configuration. Values that a provider sent (callback, token
    response) must match the patterns. is_in_clear: whether the request goes by http, which no pattern allows.
    """
    if is_listed(named.host, allowed.listed) or _is_default(way, template, named):
        return None
    refused = [
        name for name in named.names if is_in_clear or not is_providers(way, name, named.host)
    ]
    is_own = named in allowed.own and set(named.names) <= set(configured)
    return None if is_own or not refused else refused[0]


def refused_host(
    way: AuthenticationType,
    templates: Iterable[str],
    values: Mapping[str, str],
    *,
    allowed: AllowedHosts,
) -> tuple[str, str] | None:
    """The first host that these values name and to which nothing may be sent, after the variable that brings it."""
    for template in templates:
        for named in named_hosts([template], values):
            if name := refused_name(way, template, named, allowed=allowed, configured=values):
                return name, named.host
    return None


def _is_default(way: AuthenticationType, template: str, named: NamedHost) -> bool:
    """Whether it is the host of the defaults in the element's file."""
    defaults = {field.key: field.default for field in way.fields if field.default is not None}
    return any(default.host == named.host for default in named_hosts([template], defaults))


def _matches(name: str, port: str, pattern: str) -> bool:
    wanted, wanted_port = _split_port(pattern)
    if wanted_port and wanted_port != port:
        return False
    if wanted.startswith("*."):
        return name.endswith(wanted[1:]) and len(name) >= len(wanted)
    return name == wanted


def _split_port(text: str) -> tuple[str, str]:
    """Split off ":port", which is empty if there is none.

    Raises ValueError for a port above 65535.
    """
    match = _PORT.search(text)
    if match is None or (":" in text[: match.start()] and not text[: match.start()].endswith("]")):
        return text, ""
    if int(match[1]) > _MAX_PORT:
        raise ValueError(f"{text}: the port must be at most {_MAX_PORT}.")
    return text[: match.start()], f":{int(match[1])}"


def _is_numeric(name: str) -> bool:
    """Whether a resolver would read it as an IPv4 address, in any notation."""
    last = name.rpartition(".")[2]
    return last.isdigit() or last.startswith("0x")


def _address(name: str, text: str) -> str:
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(f"{text}: is not an IP address.") from None
    return f"[{address}]" if address.version == 6 else str(address)


def _is_too_wide(labels: list[str]) -> bool:
    is_shared = len(labels) == 2 and labels[0] in _SHARED_SECOND_LEVELS and len(labels[1]) == 2
    return len(labels) < 2 or is_shared
