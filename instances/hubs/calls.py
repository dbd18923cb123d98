"""Call a provider's API, or a remote platform's hub API, with the credentials of an instance.

with closing(connect(instance, actor="API: ada@example.com", operation="Hub call")) as connected:
    with connected.send("GET", "contacts?$top=5") as answer:
        answer.status, answer.headers, answer.read(max_bytes=…)     # or answer.blocks(), as they come
"""

import random
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError
from django.db.models.functions import Now
from django.utils import timezone

from instances import counters
from instances.errors import (
    AnswerLostError,
    InstancesError,
    InstanceUnusableError,
    PlatformError,
    UnreachableError,
)
from instances.hubs.limits import Permit
from instances.models import Instance
from instances.platforms.base import CallHeaders, PlatformRequest, TokenSet
from instances.platforms.embedded.calling import base_url_of, call_headers
from instances.platforms.remote.calling import PLATFORM, api_url_of, hub_call_headers
from instances.platforms.transport import (
    StreamBody,
    StreamedAnswer,
    Subject,
    media_type,
    open_stream,
    retry_after_of,
    subject_of,
    target_within_origin,
)
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.lifecycle.schedule import can_refresh
from instances.provisioning.lifecycle.states import proved_columns
from instances.provisioning.platform_requests import platform_request
from instances.queries.connection_slots import (
    NoConnectionSlotError,
    connection_again,
    release_connection,
)

MAX_RETRIES = 5
# All waits between the attempts of one call.
MAX_WAIT_SECONDS = 30.0
MAX_REDIRECTS = 3
# How long a 401 that outlasted a refresh keeps further ones from refreshing again.
REFUSED_FOR_SECONDS = 60
_REPEATABLE = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}
_RETRIED = {429, 502, 503, 504}

log = structlog.stdlib.get_logger(__name__)


def connect(
    instance: Instance,
    *,
    actor: str,
    operation: str,
    requirement: "Callable[[Instance], None] | None" = None,
    can_prove: bool = True,
) -> "ConnectedInstance":
    """Get ready to call the API of an instance's provider, or that of its remote platform.

    instance: of an Element token, with element and organization. operation: a label for the records, such as "Proxy
    call". requirement: instead of require_usable(). can_prove: whether a success shows that the provider accepts the
    credentials. Close what is returned.

    Raises InstanceUnusableError, InvalidCallError, TooManyCallsError, ServerBusyError, UnreadableSecretError,
    HostNotAllowedError, ClientRefusedError.
    """
    (requirement or require_usable)(instance)
    kind = ConnectedPlatform if instance.organization.is_remote else ConnectedInstance
    connected = kind(instance, actor=actor, operation=operation, can_prove=can_prove)
    connected.begin()
    return connected


def require_usable(instance: Instance) -> None:
    """Raise InstanceUnusableError unless the instance is connected and enabled."""
    require_enabled(instance)
    if not instance.is_connected:
        state = instance.get_state_display()
        raise InstanceUnusableError(
            f"This instance cannot be used: it is in the state “{state}”. Authenticate it again."
        )


def require_enabled(instance: Instance) -> None:
    """Raise InstanceUnusableError if the instance is disabled: the rule of every hub path."""
    if instance.is_disabled:
        raise InstanceUnusableError("This instance is disabled. Enable it to use it again.")


class ConnectedInstance:
    """One data call of a program: one or more requests with an instance's credentials.

    base_url: of the provider's API. Nothing is sent anywhere else.
    """

    def __init__(
        self, instance: Instance, *, actor: str, operation: str, can_prove: bool = True
    ) -> None:
        self._instance = instance
        self._actor = actor
        self._operation = operation
        self._can_prove = can_prove
        self._permit: Permit | None = None

    def begin(self) -> None:
        """Check that the instance can call, and count the call."""
        self._require_token()
        _ = self.base_url
        self._permit = Permit(self._instance)

    def close(self) -> None:
        if self._permit:
            self._permit.release()

    @cached_property
    def base_url(self) -> str:
        return base_url_of(self._request)

    @property
    def secrets(self) -> frozenset[str]:
        """Values that no message may show."""
        return self._request.secrets

    @cached_property
    def _request(self) -> PlatformRequest:
        return platform_request(self._instance, actor=self._actor, has_tags=False)

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: StreamBody | None = None,
        retries: int = 0,
    ) -> StreamedAnswer:
        """Send a request below base_url, and return the response when its head is there.

        target: path and query, percent-encoded, without a leading slash; its sender has checked that it does not leave
        the base path. headers: win over those of the element's file, except for credentials. retries: how often a
        request that may be repeated is, after 429, 502, 503, 504 or without a response.

        A 401 is repeated once with new tokens. If it stays, a check of the instance is due now.

        Raises PlatformError if no response came, InputError.
        """
        url = f"{self.base_url}/{target}" if target else self.base_url
        attempts = _Attempts(method, retries)
        answer = self._send_and_repeat(attempts, method, url, headers or {}, body)
        if answer.status == 401 and self._has_new_tokens():
            answer.close()
            answer = self._send_and_repeat(attempts, method, url, headers or {}, body)
            if answer.status == 401:
                counters.remember(self._refused_key, seconds=REFUSED_FOR_SECONDS)
        self._note(method, answer)
        return answer

    def _send_and_repeat(
        self,
        attempts: "_Attempts",
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: StreamBody | None,
    ) -> StreamedAnswer:
        while True:
            try:
                answer = self._send_and_follow(method, url, headers, body)
            except (UnreachableError, AnswerLostError) as error:
                if not attempts.wait_after_error(error):
                    raise
                continue
            if not attempts.wait_after_answer(answer):
                return answer
            answer.close()

    def _send_and_follow(
        self, method: str, url: str, headers: Mapping[str, str], body: StreamBody | None
    ) -> StreamedAnswer:
        """Send, and follow redirects of GET and HEAD within the origin."""
        answer = self._send_once(method, url, headers, body)
        for _ in range(MAX_REDIRECTS):
            is_followed = method in {"GET", "HEAD"} and answer.status in {301, 302, 303, 307, 308}
            location = answer.headers.get("Location", "") if is_followed else ""
            target = target_within_origin(url, location) if location else None
            if target is None:
                break
            answer.close()
            url = target
            answer = self._send_once(method, url, headers, body)
        return answer

    def _send_once(
        self, method: str, url: str, headers: Mapping[str, str], body: StreamBody | None
    ) -> StreamedAnswer:
        own = self._own_headers(method, url, headers, body)
        subject = self._subject(own.secrets)
        # Others use it while this thread waits for the provider.
        release_connection()
        return open_stream(
            subject,
            method,
            url,
            headers=_merged(own.defaults, headers, own.credentials),
            body=body,
            is_traced=self._instance.is_traced(at=timezone.now()),
        )

    def _own_headers(
        self, method: str, url: str, headers: Mapping[str, str], body: StreamBody | None
    ) -> CallHeaders:
        return call_headers(self._request, method, url, headers=headers, body=body)

    def _subject(self, secrets: frozenset[str]) -> Subject:
        return subject_of(self._request, self._operation, secrets=secrets)

    def _require_token(self) -> None:
        """Get an access token first if only a refresh token is known, and a session if one is needed.

        Raises InstanceUnusableError if there is none, and what a refresh raises.
        """
        tokens = self._request.tokens
        if tokens and self._is_unready(tokens) and self._is_renewable(tokens):
            self._refresh()
            tokens = self._request.tokens
            if tokens and self._is_unready(tokens):
                counters.remember(self._unready_key, seconds=REFUSED_FOR_SECONDS)
        if tokens and self._request.authentication.lacks_session(tokens.extra):
            raise InstanceUnusableError(
                "This instance cannot be used: the provider accepted its tokens, but not the sign-in that calls need. "
                "Check it to see why."
            )

    def _is_unready(self, tokens: TokenSet) -> bool:
        if not tokens.access_token:
            return True
        lacks_session = self._request.authentication.lacks_session(tokens.extra)
        return lacks_session and not counters.current(self._unready_key)

    def _has_new_tokens(self) -> bool:
        """Refresh the tokens, once for all calls that met a 401 with the same ones."""
        tokens = self._request.tokens
        if not (tokens and self._is_renewable(tokens)) or counters.current(self._refused_key):
            return False
        try:
            self._refresh()
        except InstancesError:
            # Recorded with the instance; the caller gets the provider's 401.
            return False
        return True

    def _is_renewable(self, tokens: TokenSet) -> bool:
        return can_refresh(self._request.authentication, tokens)

    def _refresh(self) -> None:
        refreshed = refresh_instance(self._instance, actor=self._actor)
        refreshed.organization_user = self._instance.organization_user
        refreshed.element = self._instance.element
        self._instance = refreshed
        for name in ("_request", "base_url"):
            self.__dict__.pop(name, None)

    @property
    def _refused_key(self) -> str:
        return f"data-call-refused:{self._instance.pk}"

    @property
    def _unready_key(self) -> str:
        """Counts sign-ins that failed with these tokens, since each further one would replace the refresh token."""
        return f"data-call-unready:{self._instance.pk}:{self._instance.tokens_version}"

    def _note(self, method: str, answer: StreamedAnswer) -> None:
        """Record what a response says about the instance."""
        if answer.status == 401:
            # One refused resource must not condemn the instance: the check decides.
            self._update(next_action_at=Now())
        elif self._can_prove and not self._instance.is_verified and _is_proof(method, answer):
            self._update(**proved_columns(self._instance, at=timezone.now()))

    def _update(self, **columns: Any) -> None:
        """Change the instance's row, unless it has other tokens than those that were sent.

        Without the database, the response is passed on all the same: the provider may have carried out the request.
        """
        same = Instance.objects.filter(
            pk=self._instance.pk,
            state=Instance.State.CONNECTED,
            tokens_version=self._instance.tokens_version,
        )
        try:
            with connection_again():
                same.update(**columns)
        except (DatabaseError, InterfaceError, NoConnectionSlotError) as error:
            log.warning(
                "data call not noted", instance=self._instance.pk, error=type(error).__name__
            )


class ConnectedPlatform(ConnectedInstance):
    """One data call of an instance on a remote platform, which holds the provider's tokens.

    The platform gets the secrets that hub calls need, the user's and the Element token, and never the organization's:
    so nothing but hub calls can be carried out there, and no response can repeat what a caller does not know.
    """

    @cached_property
    def base_url(self) -> str:
        return api_url_of(self._instance.organization)

    @cached_property
    def secrets(self) -> frozenset[str]:
        of_organization = self._instance.organization.secret.reveal()
        return self._request.secrets | frozenset({*self._sent_secrets, of_organization} - {""})

    @cached_property
    def _sent_secrets(self) -> tuple[str, str]:
        """Return the user's secret and the Element token."""
        user = self._instance.organization_user
        return user.secret.reveal(), self._instance.token.reveal()

    def _own_headers(self, *_: object) -> CallHeaders:
        return hub_call_headers(self._instance.label, *self._sent_secrets)

    def _subject(self, secrets: frozenset[str]) -> Subject:
        known = self.secrets | secrets
        return subject_of(self._request, self._operation, provider=PLATFORM, secrets=known)


class _Attempts:
    """How often, and after which wait, a request is sent again."""

    def __init__(self, method: str, retries: int) -> None:
        self._is_repeatable = method in _REPEATABLE
        self._left = min(retries, MAX_RETRIES)
        self._done = 0
        self._waited_seconds = 0.0

    def wait_after_error(self, error: PlatformError) -> bool:
        """Whether to send again after no response came; waits before it returns."""
        is_unsent = isinstance(error, UnreachableError)
        return (self._is_repeatable or is_unsent) and self._wait(None)

    def wait_after_answer(self, answer: StreamedAnswer) -> bool:
        """Whether to send again after this response; waits before it returns."""
        if answer.status not in _RETRIED:
            return False
        if not (self._is_repeatable or answer.status == 429):
            return False
        return self._wait(retry_after_of(answer.headers))

    def _wait(self, asked_seconds: float | None) -> bool:
        jitter = random.uniform(0.8, 1.2)  # noqa: S311  not for secrecy
        seconds = 2.0**self._done * jitter if asked_seconds is None else asked_seconds
        if not self._left or self._waited_seconds + seconds > MAX_WAIT_SECONDS:
            return False
        self._left -= 1
        self._done += 1
        self._waited_seconds += seconds
        release_connection()
        time.sleep(seconds)
        return True


def _merged(*parts: Mapping[str, str]) -> dict[str, str]:
    """Merge headers; later ones replace earlier ones of the same name."""
    merged: dict[str, tuple[str, str]] = {}
    for part in parts:
        merged |= {name.lower(): (name, value) for name, value in part.items()}
    return dict(merged.values())


def _is_proof(method: str, answer: StreamedAnswer) -> bool:
    """Whether the provider has accepted the credentials.

    It may show its sign-in page with the status 200, and what a server can do (OPTIONS) it tells everybody: browsers ask
    without credentials (Fetch Standard 3.2.2).
    """
    if method == "OPTIONS":
        return False
    is_page = media_type(answer.headers.get("Content-Type")) == "text/html"
    return 200 <= answer.status < 300 and not is_page
