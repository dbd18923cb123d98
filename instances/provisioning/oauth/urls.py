"""Where a client of the API sends its own browsers to authorize (contract 8.1): no instance exists yet."""

from collections.abc import Mapping
from uuid import uuid4

from instances.catalogue.definition import AuthenticationKind, AuthenticationType
from instances.errors import InputError, MissingConfigurationError
from instances.models import Element, Organization, OrganizationUser
from instances.platforms.base import PlatformRequest, RequestToken
from instances.platforms.registry import platform_for
from instances.provisioning.hosts import allowed_hosts, hosts_in
from instances.provisioning.plan import completed_by, normalise_configuration, oauth_app_for

# Parameters that fill a configuration key of another name.
_PARAMETER_KEYS = {
    "apiKey": "oauth.api.key",
    "apiSecret": "oauth.api.secret",
    "callbackUrl": "oauth.callback.url",
    "scope": "oauth.scope",
}
# Parameters that are no configuration.
_OTHER_PARAMETERS = {
    "state",
    "siteAddress",
    "requestToken",
    "callbackProxy",
    "isOauthProxy",
    "isOAuthProxy",
    "oauthProxyName",
}


def oauth_url(
    element: Element,
    parameters: Mapping[str, str],
    *,
    organization_user: OrganizationUser | None,
    actor: str,
) -> str:
    """The provider's authorization URL. state: the caller's own, by default the element's key.

    Without an organization user it is the public call: this program's own platform, and no stored OAuth app.
    Raises InputError where the element does not authorize with OAuth or a parameter is missing, PlatformError.
    """
    way = _browser_way(element, parameters)
    request = _draft(element, way, parameters, organization_user, actor)
    state = parameters.get("state") or element.key
    return platform_for(request.organization).oauth_url(request, state=state)


def request_token(
    element: Element,
    parameters: Mapping[str, str],
    *,
    organization_user: OrganizationUser | None,
    actor: str,
) -> RequestToken:
    """OAuth 1.0a's first step, with the parameters of oauth_url(). The caller keeps the token and its secret.

    Raises InputError where the element does not speak OAuth 1.0a or a parameter is missing, PlatformError.
    """
    way = _oauth1_way(element)
    request = _draft(element, way, parameters, organization_user, actor)
    state = parameters.get("state") or element.key
    return platform_for(request.organization).request_token(request, state=state)


def _draft(
    element: Element,
    way: AuthenticationType,
    parameters: Mapping[str, str],
    organization_user: OrganizationUser | None,
    actor: str,
) -> PlatformRequest:
    given = {name: value for name, value in parameters.items() if value}
    user = organization_user or OrganizationUser(organization=Organization())
    own = _configuration(element, way, given)
    way = way.with_variant(way.variant_of(own))
    app = oauth_app_for(user.organization, element, way, own) if organization_user else None
    configuration = completed_by(app, way, own)
    hosts = hosts_in(user.organization, element, way, own)
    missing = [
        name
        for name, key in _PARAMETER_KEYS.items()
        if name in {"apiKey", "callbackUrl"} and not configuration.get(key)
    ]
    if missing and not user.organization.is_remote:
        raise MissingConfigurationError(missing)
    return PlatformRequest(
        instance_id=None,
        uid=uuid4(),
        label=f"a new instance of {element.key}",
        name=element.name,
        organization_user=user,
        element=element.parsed,
        authentication=way,
        configuration=configuration,
        provider_data={"oauth_token": given["requestToken"]} if "requestToken" in given else {},
        allowed_hosts=allowed_hosts(user.organization, element, app, hosts),
        actor=actor,
    )


def _browser_way(element: Element, parameters: Mapping[str, str]) -> AuthenticationType:
    """What `authentication.type` names; else OAuth 1.0a with a request token; else the first with a browser."""
    definition = element.parsed
    if kind := parameters.get("authentication.type"):
        ways = [definition.authentication_type(kind)]
    else:
        has_token = bool(parameters.get("requestToken"))
        ways = sorted(definition.authentication, key=lambda way: _is_oauth1(way) is not has_token)
    way = next((way for way in ways if way.needs_browser), None)
    if way is None:
        raise InputError(f"{element.key} is not authorized with OAuth, so it has no OAuth URL")
    return way


def _oauth1_way(element: Element) -> AuthenticationType:
    way = next(filter(_is_oauth1, element.parsed.authentication), None)
    if way is None:
        raise InputError(
            f"{element.key} does not speak OAuth 1.0a, so it has no request token; only the OAuth URL is needed"
        )
    return way


def _is_oauth1(way: AuthenticationType) -> bool:
    return way.type == AuthenticationKind.OAUTH1


def _configuration(
    element: Element, way: AuthenticationType, given: Mapping[str, str]
) -> dict[str, str]:
    values = {
        _PARAMETER_KEYS.get(name, name): value
        for name, value in given.items()
        if name not in _OTHER_PARAMETERS
    }
    if way.site_address_key and "siteAddress" in given:
        values.setdefault(way.site_address_key, given["siteAddress"])
    return normalise_configuration(element.parsed, way, values)
