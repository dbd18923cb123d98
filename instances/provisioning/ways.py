"""Choose the way of authentication that a body asks for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from instances.catalogue.authentication import AuthenticationKind, AuthenticationType
from instances.catalogue.definition import ElementDefinition
from instances.models import Instance
from instances.platforms.base import code_in
from instances.provisioning.plan import OAUTH1_TOKEN_KEYS, OAUTH_APP_KEYS, TOKEN_KEYS


def choose_authentication(
    definition: ElementDefinition,
    configuration: Mapping[str, Any],
    provider_data: Mapping[str, str],
    *,
    external_authentication: str = Instance.ExternalAuthentication.NONE,
) -> str:
    """Choose the kind of authentication that a body asks for (contract 7.2, 7.5).

    `authentication.type` decides. Without it: OAuth if there is a code or verifier, then the direct way whose required
    keys are all given, then the one with the most keys that only direct ways have. Otherwise OAuth, so that the error
    names the missing code. direct: without a browser.
    """
    if named := str(configuration.get("authentication.type") or "").strip():
        return named
    has_verifier = "oauth_verifier" in provider_data
    browser = sorted(
        (way for way in definition.authentication if way.needs_browser),
        key=lambda way: (way.type == AuthenticationKind.OAUTH1) is not has_verifier,
    )
    direct = [way for way in definition.authentication if not way.needs_browser]
    complete = [
        way
        for way in direct
        if not way.missing_keys(configuration) and not _means_browser(way, browser, configuration)
    ]
    meant = _meant_ways(direct, browser, configuration)
    if browser and code_in(provider_data):
        preferred = browser
    elif external_authentication == Instance.ExternalAuthentication.INITIAL:
        preferred = [*complete, *browser, *meant, *direct]
    else:
        preferred = [*complete, *meant, *browser, *direct]
    return str(preferred[0].type)


def _means_browser(
    way: AuthenticationType, browser: Sequence[AuthenticationType], configuration: Mapping[str, Any]
) -> bool:
    """Whether a configuration that is enough for a direct way has all of it for OAuth in a browser.

    That is so if the way has no key of its own, and one is given that only OAuth has, such as a callback URL.
    """
    given = {key for key, value in configuration.items() if str(value or "").strip()}
    of_browser, own = _names_of_browser(browser), _names([way])
    return own <= of_browser and not given.isdisjoint(of_browser - own)


def _meant_ways(
    direct: Iterable[AuthenticationType],
    browser: Sequence[AuthenticationType],
    configuration: Mapping[str, Any],
) -> list[AuthenticationType]:
    """Select the direct ways of which the configuration has keys of their own, the one with the most first.

    A key without a value counts too, unless OAuth's own keys have values: clients send whole forms.
    """
    with_value = {key for key, value in configuration.items() if str(value or "").strip()}
    of_browser = _names_of_browser(browser)
    own = {way.type: _names([way]) - of_browser for way in direct}
    only_browser = of_browser - _names(direct)
    for carried in (with_value, configuration.keys()):
        meant = [way for way in direct if not own[way.type].isdisjoint(carried)]
        if meant or not only_browser.isdisjoint(with_value):
            return sorted(meant, key=lambda way: -len(own[way.type] & carried))
    return []


def _names_of_browser(browser: Iterable[AuthenticationType]) -> set[str]:
    return _names(browser) | {*OAUTH_APP_KEYS, *TOKEN_KEYS, *OAUTH1_TOKEN_KEYS}


def _names(ways: Iterable[AuthenticationType]) -> set[str]:
    return {name for way in ways for field in way.fields for name in field.names}
