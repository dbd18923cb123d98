"""OAuth authorizations: a browser sent to a provider, and what comes back with it.

A state is random, kept as a digest, used once, alive for ten minutes, and bound to the browser and the person
that began (RFC 6749 10.12, RFC 9700 4.7).
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import IntegrityError, transaction
from django.utils import timezone

from instances import crypto
from instances.catalogue.definition import AuthenticationKind, GrantType
from instances.catalogue.url_templates import fill_url, overridden
from instances.errors import (
    AuthorizationDeniedError,
    ExpiredStateError,
    InputError,
    InstancesError,
    IssuerMismatchError,
    MissingStateError,
    ProviderReportedError,
    ReplayedStateError,
    StateConflictError,
    UnknownStateError,
    WrongBrowserError,
)
from instances.models import Authorization, AuthorizationLink, Instance, Interaction
from instances.models.authorization_links import browser_digests
from instances.models.authorizations import LIFETIME
from instances.models.database_clock import require_right_clock
from instances.models.outages import outlast_outage
from instances.platforms.base import InstanceDraft, RequestToken, code_in
from instances.platforms.registry import platform_for
from instances.provisioning.authorization_links import accept_from_holder, require_open
from instances.provisioning.changes import locked, save_changes
from instances.provisioning.configuration import (
    authentication_of,
    default_callback_url,
    require_complete,
)
from instances.provisioning.drafts import changed_configuration, draft_of, normalised_changes
from instances.provisioning.instances import reauthenticate_instance
from instances.provisioning.states import State, cause_of, move_instance
from instances.redaction import redact_text, redact_url

_FIRST_TIME = {State.DRAFT, State.FAILED, State.AWAITING_AUTHORIZATION}
_AGAIN = {State.CONNECTED, State.NEEDS_REAUTHORIZATION}
# The cookie that a browser is recognised by at the callback; its value is a new_browser_secret().
BROWSER_COOKIE = "oauth_browser"
STATE_BYTES = 32
CODE_VERIFIER_BYTES = 48
_SECRET_PARAMETERS = ("state", "code", "oauth_token", "oauth_verifier")


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
    draft = draft_of(
        instance,
        actor=actor,
        configuration=changed_configuration(instance, changes, is_authorizing=True),
        code_verifier=code_verifier,
    )
    require_complete(draft.organization, draft.authentication, draft.configuration)
    url, request_token = _ask_platform(draft, state)
    authorization = Authorization(
        instance=instance,
        started_by=account if isinstance(account, User) and not link else None,
        link=link,
        state_digest=crypto.digest(state),
        browser_digest=crypto.digest(browser_secret),
        digest_key_id=crypto.first_key_id(),
        redirect_uri=draft.configuration["oauth.callback.url"],
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
    draft = draft_of(instance, actor=actor, configuration=changed)
    if not draft.configuration.get("oauth.callback.url"):
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


def _ask_platform(draft: InstanceDraft, state: str) -> tuple[str, RequestToken | None]:
    """Where to send the browser, and what OAuth 1.0a asks for before."""
    platform = platform_for(draft.organization)
    if draft.authentication.type != AuthenticationKind.OAUTH1:
        return platform.oauth_url(draft, state=state), None
    request_token = platform.request_token(draft, state=state)
    with_token = replace(draft, provider_data={"oauth_token": request_token.token})
    return platform.oauth_url(with_token, state=state), request_token


def is_unsolicited(
    parameters: Mapping[str, str], *, account: User | AnonymousUser, browser_secret: str
) -> bool:
    """Whether an anonymous callback has neither the state nor the browser cookie of a known trip."""
    if account.is_authenticated:
        return False
    state = parameters.get("state", "")
    if state and Authorization.objects.with_state(state).exists():
        return False
    lately = Authorization.objects.filter(expires_at__gt=timezone.now() - LIFETIME)
    return not lately.filter(browser_digest__in=browser_digests(browser_secret)).exists()


def complete_authorization(
    parameters: Mapping[str, str],
    *,
    account: User | AnonymousUser,
    browser_secret: str,
    renewed_secret: str = "",
    is_recorded: bool = True,
) -> Instance:
    """Take what the provider sent to the callback, and provision or re-authenticate the instance with it.

    browser_secret: what the browser keeps, one or several. renewed_secret: what it is recognised by once the trip
    is used up; the same as before where there is none.
    Every outcome is recorded as an interaction. Without is_recorded, one that belongs to no trip is not.
    Raises one AuthorizationError a way in which it can go wrong, and what reauthenticate_instance() raises:
    ClockSkewError before the state is spent.
    """
    require_right_clock()
    started_at = timezone.now()
    authorization: Authorization | None = None
    is_claimed = False
    try:
        authorization = _find(parameters.get("state", ""))
        _check_browser(authorization, account=account, browser_secret=browser_secret)
        _check_link(authorization)
        _claim(authorization, renewed_secret)
        is_claimed = True
        _check_issuer(authorization, parameters)
        _check_answer(authorization, parameters)
    except InstancesError as error:
        if authorization is None and not is_recorded:
            raise
        interaction = _record_callback(parameters, authorization, account, started_at, str(error))
        # An error before the claim leaves the trip to the browser and person that it belongs to.
        if authorization and is_claimed:
            actor = _actor_of(authorization, account)
            _end_in_failure(authorization, error, interaction, actor=actor)
        raise
    _record_callback(parameters, authorization, account, started_at, "")
    return _connect(authorization, parameters, actor=_actor_of(authorization, account))


def _actor_of(authorization: Authorization | None, account: User | AnonymousUser) -> str:
    link = authorization.link if authorization else None
    return link.actor if link else account.get_username()


def _find(state: str) -> Authorization:
    if not state:
        raise MissingStateError(
            "The provider sent the browser back without a state, so it is not known which instance this is for. "
            "Begin again from the instance."
        )
    rows = Authorization.objects.select_related(
        "instance__element", "instance__organization_user", "link__made_by"
    )
    authorization = rows.with_state(state).first()
    if authorization is None:
        raise UnknownStateError(
            "This authorization was not begun here, or its instance was deleted. Begin again from the instance."
        )
    return authorization


def _check_browser(
    authorization: Authorization, *, account: User | AnonymousUser, browser_secret: str
) -> None:
    is_browser = authorization.is_of_browser(browser_secret)
    # Whoever came by a link is known by the browser alone.
    is_person = bool(authorization.link_id) or authorization.started_by_id == account.pk
    if not (is_browser and is_person):
        # It may be a stranger's browser: the sentence names no instance.
        raise WrongBrowserError(
            "This authorization was begun in another browser, under another host name, or by somebody else. "
            "Finish it where it was begun, or begin again here."
        )


def _check_link(authorization: Authorization) -> None:
    if authorization.link:
        require_open(authorization.link)


def _claim(authorization: Authorization, renewed_secret: str) -> None:
    label = authorization.instance.label
    digest = crypto.digest(renewed_secret) if renewed_secret else authorization.browser_digest
    if Authorization.objects.claim(authorization, browser_digest=digest, at=timezone.now()):
        return
    authorization.refresh_from_db()
    if authorization.used_at:
        raise ReplayedStateError(
            f"This authorization of {label} was used already; nothing was changed. Open the instance to see how it ended."
        )
    raise ExpiredStateError(
        f"The authorization of {label} took longer than {int(LIFETIME.total_seconds() // 60)} minutes and "
        "has expired. Begin again from the instance."
    )


def _check_issuer(authorization: Authorization, parameters: Mapping[str, str]) -> None:
    """Compare iss with the issuer, character by character (RFC 9207 2.4, RFC 3986 6.2.1).

    An answer without iss is refused where the issuer is known to send it always. OAuth 1.0a knows no issuer.
    """
    instance = authorization.instance
    way = authentication_of(instance)
    iss = parameters.get("iss")
    if not way.issuer or way.grant_type != GrantType.AUTHORIZATION_CODE:
        return
    if iss is None and not way.sends_iss:
        return
    changes = authorization.configuration.reveal()
    changed = changed_configuration(instance, changes, is_authorizing=True)
    overrides = instance.organization.endpoint_overrides.get(instance.element.key, {})
    template = overridden(way.issuer, overrides, public_url=settings.PUBLIC_URL)
    issuer = fill_url(template, way.values_of(changed))
    if iss != issuer:
        raise IssuerMismatchError(instance.label, issuer, is_missing=iss is None)


def _check_answer(authorization: Authorization, parameters: Mapping[str, str]) -> None:
    label = authorization.instance.label
    # OAuth 1.0a has no word for it: Twitter's, and the problem reporting extension's.
    is_denied = "denied" in parameters or parameters.get("oauth_problem") == "user_refused"
    if is_denied or parameters.get("error") == "access_denied":
        raise AuthorizationDeniedError(
            f"The account's holder did not allow access for {label}. Authorize again, and choose to allow it."
        )
    if parameters.get("error"):
        told = f"{parameters['error']}: {parameters.get('error_description', 'no description')}"
        raise ProviderReportedError(
            f"The provider reported an error for {label}: {redact_text(told)[:500]} "
            "Correct it there or in the OAuth app, then authorize again."
        )
    if not code_in(parameters):
        raise ProviderReportedError(
            f"The provider sent neither a code nor an error for {label}. Authorize again."
        )


def _end_in_failure(
    authorization: Authorization,
    error: InstancesError,
    interaction: Interaction,
    *,
    actor: str,
) -> None:
    """End the trip; an instance that was connected before stays so."""
    is_denied = isinstance(error, AuthorizationDeniedError)
    outcome = Authorization.Outcome.DENIED if is_denied else Authorization.Outcome.FAILED
    instance = authorization.instance
    with transaction.atomic():
        Authorization.objects.filter(pk=authorization.pk).update(outcome=outcome)
        if instance.state == State.AWAITING_AUTHORIZATION:
            cause = cause_of(error) | {"cause_interaction_id": interaction.pk}
            move_instance(
                instance,
                State.FAILED,
                expect={State.AWAITING_AUTHORIZATION},
                actor=actor,
                why=str(error),
                **cause,
            )


def _connect(
    authorization: Authorization, parameters: Mapping[str, str], *, actor: str
) -> Instance:
    instance = authorization.instance
    provider_data = {k: v for k, v in parameters.items() if k not in {"state", "iss"}}
    try:
        if authorization.request_token_secret:
            provider_data["secret"] = authorization.request_token_secret.reveal()
        reauthenticate_instance(
            instance,
            actor=actor,
            configuration=authorization.configuration.reveal(),
            provider_data=provider_data,
            code_verifier=authorization.code_verifier.reveal(),
        )
    except InstancesError:
        _end(authorization, Authorization.Outcome.FAILED)
        raise
    _end(authorization, Authorization.Outcome.COMPLETED)
    return instance


def _end(authorization: Authorization, outcome: str) -> None:
    """The answer is stored by now, so that an outage of the database must not hide how it ended."""

    def write() -> None:
        Authorization.objects.filter(pk=authorization.pk).update(outcome=outcome)
        if authorization.link and outcome == Authorization.Outcome.COMPLETED:
            AuthorizationLink.objects.complete(authorization.link, at=timezone.now())

    outlast_outage(write, what="authorization")


def _record_callback(
    parameters: Mapping[str, str],
    authorization: Authorization | None,
    account: User | AnonymousUser,
    started_at: datetime,
    error: str,
) -> Interaction:
    instance = authorization.instance if authorization else None
    secret_values = [parameters.get(name, "") for name in _SECRET_PARAMETERS]
    query = urlencode(list(parameters.items())[:20])
    interaction = Interaction(
        instance=instance,
        organization=instance.organization if instance else None,
        subject=instance.label if instance else "an unknown authorization",
        step="OAuth callback",
        direction=Interaction.Direction.IN,
        actor=_actor_of(authorization, account),
        method="GET",
        url=redact_url(f"/oauth/callback?{query}", secret_values)[:4000],
        error=error,
        started_at=started_at,
        duration_ms=int((timezone.now() - started_at).total_seconds() * 1000),
    )
    try:
        interaction.save()
    except IntegrityError:
        # The instance was deleted in the meantime; that somebody came back is told of all the same.
        interaction.instance = None
        interaction.save()
    return interaction
