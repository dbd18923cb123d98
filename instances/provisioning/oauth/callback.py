"""Handle the OAuth callback: check it, then connect the instance."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import IntegrityError, transaction
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext as _

from instances.catalogue.authentication import GrantType
from instances.catalogue.templates import fill_url, overridden
from instances.crypto import sealing
from instances.errors import (
    AuthorizationDeniedError,
    AuthorizationError,
    ChoiceNeededError,
    ExpiredStateError,
    InstancesError,
    IssuerMismatchError,
    LinkOverError,
    MissingStateError,
    OtherAccountError,
    ReplayedStateError,
    UnknownStateError,
    WrongBrowserError,
)
from instances.models import Authorization, AuthorizationLink, Instance, Interaction
from instances.models.authorization_links import browser_digests
from instances.models.authorizations import LIFETIME
from instances.platforms.base import PlatformInstance, code_in
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_as_planned
from instances.provisioning.lifecycle.states import State, cause_of, move_instance
from instances.provisioning.oauth.answers import require_code
from instances.provisioning.oauth.discovery import choices_after
from instances.provisioning.oauth.links import require_open
from instances.provisioning.plan import ConnectionPlan, plan_changes
from instances.queries.database_clock import require_right_clock
from instances.queries.outages import outlast_outage
from instances.redaction import redact_url

_SECRET_PARAMETERS = ("state", "code", "oauth_token", "oauth_verifier")


# The right person came back, but nothing can finish this authorization any more.
_TOO_LATE = (ExpiredStateError, LinkOverError)
# An authorization that was never finished is still known by its browser for this long.
KNOWN_FOR = timedelta(hours=1)


def find_authorization(
    parameters: Mapping[str, str], *, browser_secret: str
) -> Authorization | None:
    """Find the authorization that a callback belongs to: by its state, else by the browser's cookie.

    The cookie finds the latest one that this browser has not finished. It only tells where an error belongs: a code
    without the right state is never used.
    """
    rows = Authorization.objects.select_related(
        "instance__element", "instance__organization_user", "link__made_by"
    )
    state = parameters.get("state", "")
    if state and (found := rows.with_state(state).first()):
        return found
    recent = rows.filter(used_at=None, expires_at__gt=timezone.now() - KNOWN_FOR)
    digests = browser_digests(browser_secret)
    return recent.filter(browser_digest__in=digests).order_by("-pk").first() if digests else None


def is_unsolicited(
    authorization: Authorization | None, *, user: User | AnonymousUser, browser_secret: str
) -> bool:
    """Return whether an anonymous callback belongs to no known authorization.

    It then has neither a known state nor the cookie of a known browser.
    """
    if user.is_authenticated or authorization:
        return False
    lately = Authorization.objects.filter(expires_at__gt=timezone.now() - LIFETIME)
    return not lately.filter(browser_digest__in=browser_digests(browser_secret)).exists()


def complete_authorization(
    parameters: Mapping[str, str],
    *,
    user: User | AnonymousUser,
    browser_secret: str,
    renewed_secret: str = "",
    is_recorded: bool = True,
) -> Instance:
    """Complete an authorization: connect the instance with the callback's code.

    Every result is recorded as an interaction. browser_secret: the value of the browser's cookie, one or more secrets.
    renewed_secret: identifies the browser after the state was used; defaults to the previous secret. is_recorded: set
    to False to skip the interaction of a callback that belongs to no authorization.

    Raises a subclass of AuthorizationError for each way in which this can fail, and what
    reauthenticate_as_planned() raises. ClockSkewError is raised before the state is used.
    """
    require_right_clock()
    started_at = timezone.now()
    authorization = find_authorization(parameters, browser_secret=browser_secret)
    is_claimed = False
    is_answer = authorization is not None and _has_state(authorization, parameters)
    try:
        if authorization is None or not parameters:
            # Without parameters, the response may be in the URL's fragment, which only the page can see.
            raise _unknown(parameters)
        check_browser(authorization, user=user, browser_secret=browser_secret)
        check_link(authorization)
        if not is_answer and code_in(parameters):
            # Any page can open this in the browser. The provider's answer may still come.
            raise _unknown(parameters)
        _claim(authorization, renewed_secret)
        is_claimed = True
        plan = plan_changes(authorization.instance, authorization.configuration.reveal())
        if not is_answer:
            require_code(authorization.instance, plan.authentication, parameters)
        _check_issuer(authorization.instance, plan, parameters)
        require_code(authorization.instance, plan.authentication, parameters)
    except InstancesError as error:
        if authorization is None and not is_recorded:
            raise
        kept = error if is_answer else _without_words(error)
        interaction = _record_callback(parameters, authorization, user, started_at, str(kept))
        # Another error before the claim changes nothing: the right browser and user can still finish the authorization.
        if authorization and (is_claimed or isinstance(error, _TOO_LATE)):
            actor = person_of(authorization, user)
            _end_in_failure(authorization, kept, interaction, actor=actor)
        raise
    interaction = _record_callback(parameters, authorization, user, started_at, "")
    actor = person_of(authorization, user)
    asking = plan.for_discovery()
    if asking is not plan:
        raise _choices(authorization, asking, parameters, interaction, actor=actor)
    return _connect(authorization, plan, parameters, actor=actor)


def _choices(
    authorization: Authorization,
    plan: ConnectionPlan,
    parameters: Mapping[str, str],
    interaction: Interaction,
    *,
    actor: str,
) -> ChoiceNeededError:
    """Return what to choose from. This authorization is done; the choice starts another one."""
    try:
        needed = choices_after(authorization, plan, _provider_data(parameters), actor=actor)
    except InstancesError as error:
        _end_in_failure(authorization, error, interaction, actor=actor)
        raise
    # The link of an account owner stays open for the next one.
    completed = Authorization.Outcome.COMPLETED
    Authorization.objects.filter(pk=authorization.pk).update(outcome=completed)
    return needed


def _provider_data(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if name not in {"state", "iss"}}


def person_of(authorization: Authorization | None, user: User | AnonymousUser) -> str:
    link = authorization.link if authorization else None
    return link.actor if link else user.get_username()


def _has_state(authorization: Authorization, parameters: Mapping[str, str]) -> bool:
    return authorization.state_digest in sealing.digests(parameters.get("state", ""))


def _without_words(error: InstancesError) -> InstancesError:
    """Return the error to store if the state was missing or wrong: what was reported may be of any page."""
    if not getattr(error, "reported", ""):
        return error
    return type(error)(
        "An error was reported without this authorization's state, by the provider or by another page in the browser. "
        "What it said is in the record of the callback. Authorize again."
    )


def _unknown(parameters: Mapping[str, str]) -> AuthorizationError:
    """Return the error of a callback whose state is not known."""
    if parameters.get("state"):
        return UnknownStateError(
            "This authorization was not started here, or its instance was deleted. Start again from the instance."
        )
    return MissingStateError(
        "The provider returned no state parameter, so it is not known which instance this is for. "
        "Start again from the instance."
    )


def check_browser(
    authorization: Authorization, *, user: User | AnonymousUser, browser_secret: str
) -> None:
    is_browser = authorization.is_of_browser(browser_secret)
    # An account owner who came by a link has no user, so the browser alone identifies them.
    is_person = bool(authorization.link_id) or authorization.started_by_id == user.pk
    if not (is_browser and is_person):
        # This may be a stranger's browser, so the message does not name the instance.
        raise WrongBrowserError(
            _(
                "This authorization was started in another browser, under another host name, or by another user. "
                "Finish it there, or start again here."
            )
        )


def check_link(authorization: Authorization) -> None:
    if authorization.link:
        require_open(authorization.link)


def _claim(authorization: Authorization, renewed_secret: str) -> None:
    label = authorization.instance.label
    digest = sealing.digest(renewed_secret) if renewed_secret else authorization.browser_digest
    if Authorization.objects.claim(authorization, browser_digest=digest, at=timezone.now()):
        return
    authorization.refresh_from_db()
    if authorization.used_at:
        raise ReplayedStateError(
            f"This authorization of {label} was already used. Nothing was changed. Open the instance to see the result."
        )
    raise ExpiredStateError(
        f"The authorization of {label} timed out after {int(LIFETIME.total_seconds() // 60)} minutes. "
        "Start again from the instance."
    )


def _check_issuer(instance: Instance, plan: ConnectionPlan, parameters: Mapping[str, str]) -> None:
    """Compare iss with the issuer, by character (RFC 9207 2.4, RFC 3986 6.2.1).

    A response without iss is rejected if the issuer is known to always send it. OAuth 1.0a has no issuer. The trip may
    have chosen another variant, whose authorization server has another issuer.

    Raises IssuerMismatchError.
    """
    way, iss = plan.authentication, parameters.get("iss")
    if not way.issuer or way.grant_type != GrantType.AUTHORIZATION_CODE:
        return
    if iss is None and not way.sends_iss:
        return
    overrides = instance.organization.endpoint_overrides.get(instance.element.key, {})
    template = overridden(way.issuer, overrides, public_url=settings.PUBLIC_URL)
    issuer = fill_url(template, way.values_of(plan.own_configuration))
    if iss != issuer:
        raise IssuerMismatchError(instance.label, issuer, is_missing=iss is None)


def _end_in_failure(
    authorization: Authorization,
    error: InstancesError,
    interaction: Interaction,
    *,
    actor: str,
) -> None:
    """Mark the authorization as failed; a connected instance stays connected."""
    is_denied = isinstance(error, AuthorizationDeniedError)
    outcome = Authorization.Outcome.DENIED if is_denied else Authorization.Outcome.FAILED
    instance = authorization.instance
    with transaction.atomic():
        Authorization.objects.filter(pk=authorization.pk).update(
            outcome=outcome, used_at=Coalesce("used_at", Now())
        )
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
    authorization: Authorization,
    plan: ConnectionPlan,
    parameters: Mapping[str, str],
    *,
    actor: str,
) -> Instance:
    instance = authorization.instance
    provider_data = _provider_data(parameters)
    try:
        if authorization.request_token_secret:
            provider_data["secret"] = authorization.request_token_secret.reveal()
        sent = replace(plan, provider_data=provider_data)
        reauthenticate_as_planned(
            instance,
            sent,
            actor=actor,
            code_verifier=authorization.code_verifier.reveal(),
            on_other_account=partial(_remember, authorization, sent),
        )
    except OtherAccountError:
        # The person who came back is asked: other_account.py.
        raise
    except InstancesError:
        store_outcome(authorization, Authorization.Outcome.FAILED)
        raise
    store_outcome(authorization, Authorization.Outcome.COMPLETED)
    return instance


def _remember(
    authorization: Authorization, plan: ConnectionPlan, renewed: PlatformInstance
) -> None:
    """Keep the tokens of another account until somebody confirms them, for as long as an authorization lasts.

    plan: the one that they were obtained with.
    """
    authorization.other_account = {
        "token": renewed.token,
        "tokens": renewed.tokens.to_json() if renewed.tokens else None,
        "is_proved": renewed.is_proved,
        "account": dict(renewed.account),
        "provider_data": dict(plan.provider_data),
        "obtained_with": plan.fingerprint,
    }
    authorization.outcome = Authorization.Outcome.CONFIRMING
    authorization.expires_at = timezone.now() + LIFETIME
    columns = ["other_account", "outcome", "expires_at"]
    outlast_outage(partial(authorization.save, update_fields=columns), what="authorization")


def store_outcome(authorization: Authorization, outcome: str) -> None:
    """Store the outcome, waiting for the end of a database outage. Tokens that waited for it are dropped."""

    def write() -> None:
        ended = Authorization.objects.filter(pk=authorization.pk)
        ended.update(outcome=outcome, other_account="")
        if authorization.link and outcome == Authorization.Outcome.COMPLETED:
            AuthorizationLink.objects.complete(authorization.link, at=timezone.now())

    outlast_outage(write, what="authorization")


def _record_callback(
    parameters: Mapping[str, str],
    authorization: Authorization | None,
    user: User | AnonymousUser,
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
        operation="OAuth callback",
        direction=Interaction.Direction.IN,
        actor=person_of(authorization, user),
        method="GET",
        url=redact_url(f"/oauth/callback?{query}", secret_values)[:4000],
        error=error,
        started_at=started_at,
        duration_ms=int((timezone.now() - started_at).total_seconds() * 1000),
    )
    try:
        interaction.save()
    except IntegrityError:
        # The instance has been deleted meanwhile. Record the callback anyway.
        interaction.instance = None
        interaction.save()
    return interaction
