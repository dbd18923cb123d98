"""Fill the catalogue's templates for one request."""

from collections.abc import Mapping

from django.conf import settings

from instances.catalogue.authentication import ACCESS_TOKEN, EndpointName
from instances.catalogue.hosts import named_host, refused_name
from instances.catalogue.templates import fill_text, fill_url, overridden, variables_in
from instances.errors import (
    HostNotAllowedError,
    InvalidConfigurationError,
    MissingConfigurationError,
)
from instances.platforms.base import PlatformRequest


def values_of(request: PlatformRequest) -> dict[str, str]:
    """Return the values of the template variables.

    The configuration takes precedence over what a provider sent: a callback must not decide where credentials go.
    """
    way = request.authentication
    from_callback = {
        name: value for name, value in request.provider_data.items() if name in way.provider_data
    }
    values = {**from_callback, **way.values_of(request.configuration)}
    if request.tokens:
        values = {**request.tokens.extra, **values, ACCESS_TOKEN: request.tokens.access_token}
    return values


def endpoint_of(request: PlatformRequest, name: EndpointName) -> str:
    """Return the URL of an endpoint.

    Raises CatalogueError if the catalogue does not know it, InputError.
    """
    return address_of(request, request.element.endpoint(request.authentication, name))


def address_of(request: PlatformRequest, template: str) -> str:
    """Return a template's URL, with the organization's overrides applied.

    Every request's address is built here, so that no secret goes to a host that is not allowed for it.
    Raises HostNotAllowedError, InputError.
    """
    overrides = request.organization.endpoint_overrides.get(request.element.key, {})
    template = overridden(template, overrides, public_url=settings.PUBLIC_URL)
    values, way = values_of(request), request.authentication
    url, named = fill_url(template, values), named_host(template, values)
    if named is None:
        return url
    configured = way.values_of(request.configuration)
    name = refused_name(
        way,
        template,
        named,
        allowed=request.allowed_hosts,
        configured=configured,
        is_in_clear=url.startswith("http://"),
    )
    if name:
        raise HostNotAllowedError(name, named.host, request.element.name)
    return url


def require_allowed_hosts(request: PlatformRequest) -> None:
    """Check every address before the first request, so that no code is wasted.

    Raises HostNotAllowedError.
    """
    for _place, template in request.authentication.url_templates():
        try:
            address_of(request, template)
        except HostNotAllowedError:
            raise
        except (InvalidConfigurationError, MissingConfigurationError):
            # Values of the token response are not known yet; other errors are raised when the address is needed.
            continue


def texts_of(request: PlatformRequest, templates: Mapping[str, str]) -> dict[str, str]:
    """Fill the parameters of a request. Raises InputError."""
    values = values_of(request)
    return {name: fill_text(template, values) for name, template in templates.items()}


def headers_of(request: PlatformRequest, templates: Mapping[str, str]) -> dict[str, str]:
    """Fill the headers of a request.

    Raises InputError, also for a value that is not printable ASCII, or begins with a blank: no client sends it, and the
    error of ours would repeat it.
    """
    headers = texts_of(request, templates)
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()) or value.startswith(" "):
            key = (variables_in(templates[name]) or [name])[0]
            raise InvalidConfigurationError(
                key, "contains a character that is not allowed in a header."
            )
    return headers
