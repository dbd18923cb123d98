"""Send a browser to a provider to authorize."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from instances import crypto
from instances.catalogue.definition import AuthenticationKind
from instances.errors import (
    InputError,
    StateConflictError,
)
from instances.models import Authorization, AuthorizationLink, Instance
from instances.models.authorizations import LIFETIME
from instances.platforms.base import PlatformRequest, RequestToken
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.changes import locked, save_changes
from instances.provisioning.lifecycle.states import State, move_instance
from instances.provisioning.oauth.links import accept_from_holder
from instances.provisioning.plan import authentication_of, default_callback_url, require_complete
from instances.provisioning.platform_requests import (
    changed_configuration,
    normalised_changes,
    platform_request,
)
from instances.queries.database_clock import require_right_clock

_FIRST_TIME = {State.DRAFT, State.FAILED, State.AWAITING_AUTHORIZATION}


_AGAIN = {State.CONNECTED, State.NEEDS_REAUTHORIZATION}


# The cookie that a browser is recognised by at the callback; its value is a new_browser_secret().
BROWSER_COOKIE = "oauth_browser"


STATE_BYTES = 32


CODE_VERIFIER_BYTES = 48


@dataclass(frozen=True, slots=True)
class BegunAuthorization:
    """Where to send the browser. url carries the state, so it is never recorded."""

    authorization: Authorization
    url: str = field(repr=False)


def new_browser_secret() -> str:
    """What a browser keeps in a cookie so that it can be recognised at the callback."""
    return secrets.token_urlsafe(STATE_BYTES)


def begin_authorization(
    instance: Instance,
    *,
    account: User | AnonymousUser,
    browser_secret: str,
    configuration: Mapping[str, Any] | None = None,
    link: AuthorizationLink | None = None,
) -> BegunAuthorization:
    """Prepare one trip of this browser to the provider. The instance keeps its id, token and history.

    browser_secret: a fresh one, never what the browser sent, since somebody else may have put that there.
    configuration: what is to be changed with it; of an instance that was connected before, when the trip has
    succeeded and not earlier (contract 7.6). link: what the browser was sent here with, in place of an account.
    Raises InputError when the element's way of authentication needs no browser, MissingConfigurationError,
    StateConflictError, ClockSkewError, PlatformError.
    """
    require_right_clock()
    actor = link.actor if link else account.get_username()
    if instance.state not in _FIRST_TIME | _AGAIN:
        raise StateConflictError(
            f"{instance.label} is {instance.get_state_display()}, so it cannot be authorized now."
        )
    if not authentication_of(instance).needs_browser:
        raise InputError(
            f"{instance.label} authenticates with {instance.authentication_type}: provision it instead."
        )
    entered = configuration or {}
    accepted = accept_from_holder(instance, entered) if link else entered
    changes = _prepare_configuration(instance, accepted, actor=actor)
    state = secrets.token_urlsafe(STATE_BYTES)
    code_verifier = secrets.token_urlsafe(CODE_VERIFIER_BYTES)
    request = platform_request(
        instance,
        actor=actor,
        configuration=changed_configuration(instance, changes, is_authorizing=True),
        code_verifier=code_verifier,
    )
    require_complete(request.organization, request.authentication, request.configuration)
    url, request_token = _ask_platform(request, state)
    authorization = Authorization(
        instance=instance,
        started_by=account if isinstance(account, User) and not link else None,
        link=link,
        state_digest=crypto.digest(state),
        browser_digest=crypto.digest(browser_secret),
        digest_key_id=crypto.first_key_id(),
        redirect_uri=request.configuration["oauth.callback.url"],
        expires_at=timezone.now() + LIFETIME,
    )
    authorization.code_verifier = code_verifier
    authorization.request_token_secret = request_token.secret if request_token else ""
    authorization.configuration = changes
    with locked(instance):
        authorization.save()
        if instance.state in _FIRST_TIME:
            move_instance(
                instance,
                State.AWAITING_AUTHORIZATION,
                expect=_FIRST_TIME,
                actor=actor,
                why="Sent to the provider to authorize.",
            )
    return BegunAuthorization(authorization, url)


def _prepare_configuration(
    instance: Instance, configuration: Mapping[str, Any], *, actor: str
) -> dict[str, Any]:
    """What is left to change when the trip has succeeded; the callback URL is filled in.

    Of an instance that was never connected all is stored at once: there is nothing that a failed trip could harm.
    """
    changes = dict(configuration)
    changed = changed_configuration(instance, changes, is_authorizing=True)
    request = platform_request(instance, actor=actor, configuration=changed)
    if not request.configuration.get("oauth.callback.url"):
        changes["oauth.callback.url"] = default_callback_url()
    if not changes or instance.state in _AGAIN:
        return changes
    save_changes(
        instance,
        configuration=normalised_changes(instance, changes),
        expect=_FIRST_TIME,
        is_authorizing=True,
    )
    return {}


def _ask_platform(request: PlatformRequest, state: str) -> tuple[str, RequestToken | None]:
    """Where to send the browser, and what OAuth 1.0a asks for before."""
    platform = platform_for(request.organization)
    if request.authentication.type != AuthenticationKind.OAUTH1:
        return platform.oauth_url(request, state=state), None
    request_token = platform.request_token(request, state=state)
    with_token = replace(request, provider_data={"oauth_token": request_token.token})
    return platform.oauth_url(with_token, state=state), request_token
