"""OAuth URLs for API clients that send their own users to authorize.

No instance exists yet at that point (contract 8.1).
"""

from collections.abc import Mapping
from uuid import uuid4

from instances.catalogue.authentication import AuthenticationKind, AuthenticationType
from instances.errors import InputError, MissingConfigurationError
from instances.models import Element, Organization, OrganizationUser
from instances.platforms.base import PlatformRequest, RequestToken
from instances.platforms.registry import platform_for
from instances.provisioning.hosts import allowed_hosts
from instances.provisioning.plan import plan_connection

# Parameters that set a configuration key with another name.
_PARAMETER_KEYS = {
    "apiKey": "oauth.api.key",
    "apiSecret": "oauth.api.secret",
    "callbackUrl": "oauth.callback.url",
    "scope": "oauth.scope",
}
# Parameters that are not configuration.
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
    """Return the provider's authorization URL.

    The parameter `state` is the caller's own and defaults to the element's key. organization_user: None for the public
    call, which uses the embedded platform and no stored OAuth app.

    Raises InputError if the element does not use OAuth or a parameter is missing, PlatformError.
    """
    way = _browser_way(element, parameters)
    request = _platform_request(element, way, parameters, organization_user, actor)
    state = parameters.get("state") or element.key
    return platform_for(request.organization).oauth_url(request, state=state)


def request_token(
    element: Element,
    parameters: Mapping[str, str],
    *,
    organization_user: OrganizationUser | None,
    actor: str,
) -> RequestToken:
    """Get a request token, the first step of OAuth 1.0a, for the caller to keep.

    parameters: those of oauth_url().

    Raises InputError if the element does not use OAuth 1.0a or a parameter is missing, PlatformError.
    """
    way = _oauth1_way(element)
    request = _platform_request(element, way, parameters, organization_user, actor)
    state = parameters.get("state") or element.key
    return platform_for(request.organization).request_token(request, state=state)


def needs_request_token(element: Element, parameters: Mapping[str, str]) -> bool:
    """Whether oauth_url() with these parameters first needs what request_token() gets.

    Raises InputError if the element does not use OAuth.
    """
    way = _browser_way(element, parameters)
    return _is_oauth1(way) and not parameters.get("requestToken")


def _platform_request(
    element: Element,
    way: AuthenticationType,
    parameters: Mapping[str, str],
    organization_user: OrganizationUser | None,
    actor: str,
) -> PlatformRequest:
    given = {name: value for name, value in parameters.items() if value}
    user = organization_user or OrganizationUser(organization=Organization())
    plan = plan_connection(user, element, way, _configuration(way, given))
    missing = [
        name
        for name, key in _PARAMETER_KEYS.items()
        if name in {"apiKey", "callbackUrl"} and not plan.configuration.get(key)
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
        authentication=plan.authentication,
        configuration=plan.configuration,
        provider_data={"oauth_token": given["requestToken"]} if "requestToken" in given else {},
        allowed_hosts=allowed_hosts(plan, plan.own_hosts),
        actor=actor,
    )


def _browser_way(element: Element, parameters: Mapping[str, str]) -> AuthenticationType:
    """Choose a way of authentication that needs a browser.

    `authentication.type` decides. Without it: OAuth 1.0a if there is a request token, else the first one.
    """
    definition = element.parsed
    if kind := parameters.get("authentication.type"):
        ways = [definition.authentication_type(kind)]
    else:
        has_token = bool(parameters.get("requestToken"))
        ways = sorted(definition.authentication, key=lambda way: _is_oauth1(way) is not has_token)
    way = next((way for way in ways if way.needs_browser), None)
    if way is None:
        raise InputError(f"{element.key} does not use OAuth, so it has no OAuth URL.")
    return way


def _oauth1_way(element: Element) -> AuthenticationType:
    way = next(filter(_is_oauth1, element.parsed.authentication), None)
    if way is None:
        raise InputError(
            f"{element.key} does not use OAuth 1.0a, so it has no request token. Only the OAuth URL is needed."
        )
    return way


def _is_oauth1(way: AuthenticationType) -> bool:
    return way.type == AuthenticationKind.OAUTH1


def _configuration(way: AuthenticationType, given: Mapping[str, str]) -> dict[str, str]:
    values = {
        _PARAMETER_KEYS.get(name, name): value
        for name, value in given.items()
        if name not in _OTHER_PARAMETERS
    }
    if way.site_address_key and "siteAddress" in given:
        values.setdefault(way.site_address_key, given["siteAddress"])
    return values
