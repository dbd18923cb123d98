"""Start an authorization: prepare it, and return where to send the browser."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from instances import crypto
from instances.catalogue.definition import AuthenticationKind
from instances.errors import InputError, StateConflictError
from instances.models import Authorization, AuthorizationLink, Instance
from instances.models.authorizations import LIFETIME
from instances.platforms.base import PlatformRequest, RequestToken
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.changes import locked, save_changes
from instances.provisioning.lifecycle.states import CREATED, PROVISIONABLE, State, move_instance
from instances.provisioning.oauth.links import accept_from_account_owner
from instances.provisioning.plan import default_callback_url, require_complete
from instances.provisioning.platform_requests import (
    changed_configuration,
    normalised_changes,
    platform_request,
)
from instances.queries.database_clock import require_right_clock

# The cookie that identifies the browser at the callback. Its value comes from new_browser_secret().
BROWSER_COOKIE = "oauth_browser"
STATE_BYTES = 32
CODE_VERIFIER_BYTES = 48


@dataclass(frozen=True, slots=True)
class BegunAuthorization:
    """An authorization that was started, and the URL to send the browser to.

    The URL contains the state, so it is never recorded.
    """

    authorization: Authorization
    url: str = field(repr=False)


def new_browser_secret() -> str:
    """Return a random secret for the cookie that identifies a browser at the callback."""
    return secrets.token_urlsafe(STATE_BYTES)


def begin_authorization(
    instance: Instance,
    *,
    user: User | AnonymousUser,
    browser_secret: str,
    configuration: Mapping[str, Any] | None = None,
    link: AuthorizationLink | None = None,
) -> BegunAuthorization:
    """Start an authorization; the instance keeps its id, token and history.

    browser_secret: a new secret, never one that the browser sent, since an attacker may have planted that.
    configuration: the changes that come with it. If the instance was connected before, they are stored only after the
    authorization succeeded (contract 7.6). link: the authorization link that was used, in place of a user.

    Raises InputError if the instance does not authenticate in a browser, MissingConfigurationError,
    StateConflictError, ClockSkewError, PlatformError.
    """
    require_right_clock()
    actor = link.actor if link else user.get_username()
    if instance.state not in PROVISIONABLE | CREATED:
        raise StateConflictError(
            f"{instance.label} is in the state “{instance.get_state_display()}”, so it cannot be authorized now."
        )
    if not instance.authentication.needs_browser:
        raise InputError(
            f"{instance.label} authenticates with {instance.authentication_type}, not in a browser. Provision it instead."
        )
    entered = configuration or {}
    accepted = accept_from_account_owner(instance, entered) if link else entered
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
    url, request_token = _authorization_url(request, state)
    authorization = Authorization(
        instance=instance,
        started_by=user if isinstance(user, User) and not link else None,
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
        if instance.state in PROVISIONABLE:
            move_instance(
                instance,
                State.AWAITING_AUTHORIZATION,
                expect=PROVISIONABLE,
                actor=actor,
                why="Authorization started.",
            )
    return BegunAuthorization(authorization, url)


def _prepare_configuration(
    instance: Instance, configuration: Mapping[str, Any], *, actor: str
) -> dict[str, Any]:
    """Return the changes to store once authorized, with the callback URL.

    For an instance that was never connected everything is stored now, since a failed authorization can break nothing.
    """
    changes = dict(configuration)
    changed = changed_configuration(instance, changes, is_authorizing=True)
    request = platform_request(instance, actor=actor, configuration=changed)
    if not request.configuration.get("oauth.callback.url"):
        changes["oauth.callback.url"] = default_callback_url()
    if not changes or instance.state in CREATED:
        return changes
    save_changes(
        instance,
        configuration=normalised_changes(instance, changes),
        expect=PROVISIONABLE,
        is_authorizing=True,
    )
    return {}


def _authorization_url(request: PlatformRequest, state: str) -> tuple[str, RequestToken | None]:
    """Return the provider's authorization URL, and the request token of OAuth 1.0a."""
    platform = platform_for(request.organization)
    if request.authentication.type != AuthenticationKind.OAUTH1:
        return platform.oauth_url(request, state=state), None
    request_token = platform.request_token(request, state=state)
    with_token = replace(request, provider_data={"oauth_token": request_token.token})
    return platform.oauth_url(with_token, state=state), request_token
