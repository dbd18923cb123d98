"""Start an authorization: prepare it, and return where to send the browser."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from instances.catalogue.authentication import AuthenticationKind
from instances.crypto import sealing
from instances.errors import InputError, StateConflictError
from instances.models import Authorization, AuthorizationLink, Instance
from instances.models.authorizations import LIFETIME
from instances.platforms.base import PlatformRequest, RequestToken
from instances.platforms.registry import platform_for
from instances.provisioning.hosts import require_secrets_again
from instances.provisioning.lifecycle.changes import locked, save_changes
from instances.provisioning.lifecycle.states import CREATED, PROVISIONABLE, State, move_instance
from instances.provisioning.oauth.links import plan_by_account_owner
from instances.provisioning.plan import CALLBACK_URL_KEY, plan_changes
from instances.provisioning.platform_requests import platform_request
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
    plan = plan_by_account_owner(instance, entered) if link else plan_changes(instance, entered)
    require_secrets_again(instance, plan, is_authorizing=True)
    plan = plan.with_callback_url()
    if plan.given and instance.state in PROVISIONABLE:
        # A failed authorization can break nothing here, so everything is stored now.
        save_changes(instance, configuration=plan.given, expect=PROVISIONABLE, is_authorizing=True)
        plan = plan_changes(instance, {})
    plan = plan.for_discovery()
    plan.require_complete()
    state = secrets.token_urlsafe(STATE_BYTES)
    code_verifier = secrets.token_urlsafe(CODE_VERIFIER_BYTES)
    request = platform_request(instance, actor=actor, plan=plan, code_verifier=code_verifier)
    url, request_token = _authorization_url(request, state)
    authorization = Authorization(
        instance=instance,
        started_by=user if isinstance(user, User) and not link else None,
        link=link,
        state_digest=sealing.digest(state),
        browser_digest=sealing.digest(browser_secret),
        digest_key_id=sealing.first_key_id(),
        redirect_uri=plan.configuration[CALLBACK_URL_KEY],
        expires_at=timezone.now() + LIFETIME,
    )
    authorization.code_verifier = code_verifier
    authorization.request_token_secret = request_token.secret if request_token else ""
    authorization.configuration = dict(plan.given)
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


def _authorization_url(request: PlatformRequest, state: str) -> tuple[str, RequestToken | None]:
    """Return the provider's authorization URL, and the request token of OAuth 1.0a."""
    platform = platform_for(request.organization)
    if request.authentication.type != AuthenticationKind.OAUTH1:
        return platform.oauth_url(request, state=state), None
    request_token = platform.request_token(request, state=state)
    with_token = replace(request, provider_data={"oauth_token": request_token.token})
    return platform.oauth_url(with_token, state=state), request_token
