"""The catalogue's templates, filled for one draft."""

from collections.abc import Mapping

from django.conf import settings

from instances.catalogue.definition import ACCESS_TOKEN, EndpointName
from instances.catalogue.hosts import named_host, refused_name
from instances.catalogue.templates import fill_text, fill_url, overridden, variables_in
from instances.errors import (
    HostNotAllowedError,
    InvalidConfigurationError,
    MissingConfigurationError,
)
from instances.platforms.base import PlatformRequest


def values_of(request: PlatformRequest) -> dict[str, str]:
    """What the variables of this draft's templates stand for.

    The configuration comes before what a provider sent: a callback must not be able to change where credentials go.
    """
    way = request.authentication
    came_back = {
        name: value for name, value in request.provider_data.items() if name in way.provider_data
    }
    values = {**came_back, **way.values_of(request.configuration)}
    if request.tokens:
        values = {**request.tokens.extra, **values, ACCESS_TOKEN: request.tokens.access_token}
    return values


def endpoint_of(request: PlatformRequest, name: EndpointName) -> str:
    """The URL of an endpoint. Raises CatalogueError where the catalogue does not know it, InputError."""
    return address_of(request, request.element.endpoint(request.authentication, name))


def address_of(request: PlatformRequest, template: str) -> str:
    """The URL that a template means, with the organization's endpoint overrides applied.

    Every request's address is made here, so that none goes to a host that is not allowed for the draft's secrets.
    Raises HostNotAllowedError, InputError.
    """
    overrides = request.organization.endpoint_overrides.get(request.element.key, {})
    template = overridden(template, overrides, public_url=settings.PUBLIC_URL)
    values, way = values_of(request), request.authentication
    url, named = fill_url(template, values), named_host(template, values)
    if named is None:
        return url
    configured = way.values_of(request.configuration)
    name = refused_name(way, template, named, allowed=request.allowed_hosts, configured=configured)
    if name:
        raise HostNotAllowedError(name, named.host, request.element.name)
    return url


def require_allowed_hosts(request: PlatformRequest) -> None:
    """Look at every address before the first request, so that no code is spent in vain. Raises HostNotAllowedError."""
    for _place, template in request.authentication.url_templates():
        try:
            address_of(request, template)
        except HostNotAllowedError:
            raise
        except (InvalidConfigurationError, MissingConfigurationError):
            # What a token answer brings is not there yet; the rest is complained about where it is needed.
            continue


def texts_of(request: PlatformRequest, templates: Mapping[str, str]) -> dict[str, str]:
    """Parameters of a request. Raises InputError."""
    values = values_of(request)
    return {name: fill_text(template, values) for name, template in templates.items()}


def headers_of(request: PlatformRequest, templates: Mapping[str, str]) -> dict[str, str]:
    """Headers of a request. Raises InputError, also for a value that no header can carry."""
    headers = texts_of(request, templates)
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            key = (variables_in(templates[name]) or [name])[0]
            raise InvalidConfigurationError(key, "holds a character that no header can carry.")
    return headers
