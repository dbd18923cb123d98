"""Where the provider's API is, and how calls of it carry an instance's credentials."""

import base64
from collections.abc import Mapping

from instances.catalogue.authentication import ACCESS_TOKEN
from instances.catalogue.parts import Api, Lookup, Probe, ProbeScheme
from instances.catalogue.templates import fill_text, variables_in
from instances.errors import InvalidCallError
from instances.platforms.base import CallHeaders, PlatformRequest
from instances.platforms.embedded import aws, oauth1
from instances.platforms.embedded.templates import address_of, headers_of, values_of
from instances.platforms.transport import StreamBody, media_type

_FORM = "application/x-www-form-urlencoded"
_MAX_SIGNED_BYTES = 1_048_576


def base_url_of(request: PlatformRequest) -> str:
    """Return the base URL of the provider's API, without a slash at its end.

    Raises InvalidCallError if the element's file has none, HostNotAllowedError, InputError.
    """
    api = request.authentication.api
    if api is None:
        raise InvalidCallError(
            f"The base URL of {request.element.name}'s API is not known, so it cannot be called through here. Once you "
            "know it, load an element file of your own that states it."
        )
    return address_of(request, api.base_url).rstrip("/")


def call_headers(
    request: PlatformRequest,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: StreamBody | None,
) -> CallHeaders:
    """Return the headers of a call of the provider's API, with the credentials.

    headers, body: the caller's. OAuth 1.0a signs a form, and AWS every body.

    Raises InputError, CatalogueError.
    """
    carrying = request.authentication.api_credentials
    if carrying is None:
        return CallHeaders({}, {})
    filled = {
        name: template for name, template in carrying.headers.items() if variables_in(template)
    }
    fixed = {name: value for name, value in carrying.headers.items() if name not in filled}
    credentials = headers_of(request, filled) | authorization(request, carrying)
    if carrying.scheme == ProbeScheme.OAUTH1:
        form = _form_of(headers, body)
        credentials |= oauth1.signed_headers(request, method, url, form=form)
    if carrying.scheme == ProbeScheme.AWS_SIGV4:
        sent = {**fixed, **headers, **credentials}
        signed = aws.signed_headers(request, carrying, method, url, headers=sent, body=body)
        return CallHeaders(fixed, credentials | signed, frozenset({aws.signature_in(signed)}))
    return CallHeaders(fixed, credentials)


def authorization(request: PlatformRequest, carrying: Probe | Api | Lookup) -> dict[str, str]:
    """Return the Authorization header, unless the request has to be signed or the credentials are elsewhere."""
    if carrying.scheme == ProbeScheme.BEARER:
        return headers_of(request, {"Authorization": f"Bearer {{{ACCESS_TOKEN}}}"})
    if carrying.scheme == ProbeScheme.BASIC:
        values = values_of(request)
        pair = f"{fill_text(carrying.username, values)}:{fill_text(carrying.password, values)}"
        # UTF-8, as RFC 7617 2.1 recommends.
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _form_of(headers: Mapping[str, str], body: StreamBody | None) -> str:
    """Return the body if it is a form, which OAuth 1.0a signs."""
    names = {name.lower(): value for name, value in headers.items()}
    is_form = media_type(names.get("content-type")) == _FORM
    if body is None or not is_form or body.length > _MAX_SIGNED_BYTES:
        return ""
    body.file.seek(0)
    return body.file.read().decode(errors="replace")
