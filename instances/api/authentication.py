"""Authenticate API calls by their Authorization header (contract 2).

Secrets are looked up by their keyed digest, so nothing is decrypted and no secret is compared byte by byte.
"""

import re
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from instances.api.rate_limit import count_call
from instances.crypto import sealing
from instances.errors import PermissionRefusedError
from instances.models import Instance, OrganizationUser
from instances.queries.connection_slots import trust_recent_connection
from instances.queries.prepared import Param, PreparedQuery

REFUSAL = "Invalid Organization or User secret, or invalid Element token provided."
BEARER_SALT = "instances.api.bearer"
BEARER_SECONDS = 12 * 60 * 60
# part = scheme [":"] 1*SP secret (contract 2.1); a secret is visible characters without a comma.
_PART = re.compile(r"(user|organization|element)(?::[ \t]*|[ \t]+)([!-+\--~]+)", re.IGNORECASE)
# The permission that a person needs for a call, unless the operation names another one (security.BearerToken).
_PERMISSION_FOR = {"GET": "view_instance", "POST": "add_instance", "DELETE": "delete_instance"}
_BEARER = re.compile(r"bearer[ \t]+([!-~]+)", re.IGNORECASE)


class UnauthenticatedError(Exception):
    """The header is missing, malformed or wrong.

    In each case the answer is 401 with REFUSAL.
    """


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call.

    instance: the instance of the Element part, if there is one. user: the person who signed in with a password; None
    for a program that sent the secrets.
    """

    organization_user: OrganizationUser
    instance: Instance | None = None
    user: User | None = None

    @property
    def actor(self) -> str:
        """The caller's name for the records of what the call does."""
        return f"API: {self.user.get_username() if self.user else self.organization_user.email}"


def require_caller(request: HttpRequest, *, permission: str = "") -> Caller:
    """Return the caller of a platform call: User and Organization, or a Bearer token.

    Raises UnauthenticatedError, PermissionRefusedError, RateLimitExceededError.
    """
    caller = optional_caller(request, permission=permission)
    if caller is None:
        raise UnauthenticatedError
    return caller


def optional_caller(request: HttpRequest, *, permission: str = "") -> Caller | None:
    """Return the caller of a public call; None if there is no Authorization header.

    permission: what a person with a Bearer token needs; by default what the HTTP method needs. It is checked here,
    the only place that accepts Bearer tokens, so that no operation can forget it. The caller is stored on the request
    and looked up once.

    Raises UnauthenticatedError for a wrong header, PermissionRefusedError, RateLimitExceededError.
    """
    known = _known_caller(request)
    header = request.headers.get("Authorization", "").strip()
    if known or not header:
        return known
    if bearer := _BEARER.fullmatch(header):
        caller = _remember(request, _caller_of_bearer(bearer[1]))
        default = _PERMISSION_FOR.get(request.method or "", "change_instance")
        require_permission(caller, permission or default)
        return caller
    parts = _parse(header)
    if not {"user", "organization"} <= parts.keys():
        raise UnauthenticatedError
    return _remember(request, _caller_of(parts))


def require_hub_instance(request: HttpRequest) -> Instance:
    """Return the instance of a hub call (contract 2.2).

    The header has User and Element, and optionally Organization.

    Raises UnauthenticatedError, RateLimitExceededError.
    """
    caller = _known_caller(request)
    if caller is None:
        parts = _parse(request.headers.get("Authorization", "").strip())
        if not {"user", "element"} <= parts.keys():
            raise UnauthenticatedError
        trust_recent_connection()
        caller = _remember(request, _caller_of(parts))
    if caller.instance is None:
        raise UnauthenticatedError
    return caller.instance


def require_caller_of_hub(request: HttpRequest) -> Caller:
    """Return the caller of a hub call. Raises like require_hub_instance()."""
    require_hub_instance(request)
    caller: Caller = request.caller  # type: ignore[attr-defined]
    return caller


def parts_named(request: HttpRequest) -> set[str]:
    """Return which parts the Authorization header names, whether or not they are right."""
    header = request.headers.get("Authorization", "")
    found = (_PART.fullmatch(part.strip(" \t")) for part in header.split(","))
    return {part[1].lower() for part in found if part}


def require_instance(request: HttpRequest) -> Instance:
    """Return the instance of the Element part, for paths without an id.

    Raises like require_caller().
    """
    caller = require_caller(request)
    if caller.instance is None:
        raise UnauthenticatedError
    return caller.instance


def is_bearer(request: HttpRequest) -> bool:
    """Whether the header carries a Bearer token instead of the secrets."""
    return bool(_BEARER.fullmatch(request.headers.get("Authorization", "").strip()))


def _known_caller(request: HttpRequest) -> Caller | None:
    return getattr(request, "caller", None)


def _remember(request: HttpRequest, caller: Caller) -> Caller:
    count_call(f"user:{caller.organization_user.pk}", limit=settings.API_CALLS_PER_MINUTE)
    request.caller = caller  # type: ignore[attr-defined]
    return caller


def issue_bearer(organization_user: OrganizationUser, user: User) -> str:
    """Issue a signed token to call as the organization user for BEARER_SECONDS."""
    return signing.dumps(
        [organization_user.pk, user.pk, _mark(organization_user, user)], salt=BEARER_SALT
    )


def _mark(organization_user: OrganizationUser, user: User) -> str:
    """Derive a mark that changes with the organization user's secret and the user's password."""
    session = user.get_session_auth_hash()
    return sealing.digest(f"{BEARER_SALT}:{organization_user.secret_digest}:{session}")[:32]


def _caller_of_bearer(token: str) -> Caller:
    """Return the caller of a Bearer token.

    Its user must still be active and linked to the organization user.

    Raises UnauthenticatedError.
    """
    try:
        organization_user_id, user_id, mark = signing.loads(
            token, salt=BEARER_SALT, max_age=BEARER_SECONDS
        )
    except (signing.BadSignature, ValueError, TypeError):
        raise UnauthenticatedError from None
    users = OrganizationUser.objects.select_related("organization", "user")
    tied = users.filter(pk=organization_user_id, user=user_id, user__is_active=True)
    organization_user = tied.first()
    if organization_user is None or organization_user.user is None:
        raise UnauthenticatedError
    if not constant_time_compare(mark, _mark(organization_user, organization_user.user)):
        raise UnauthenticatedError
    return Caller(organization_user, user=organization_user.user)


def require_permission(caller: Caller, permission: str) -> None:
    """Raise PermissionRefusedError if the person who calls lacks a permission; programs have all."""
    if caller.user and not caller.user.has_perm(f"instances.{permission}"):
        raise PermissionRefusedError(
            f"This call needs the permission {permission}, which {caller.user.get_username()} does not have. "
            "Ask an administrator to grant it."
        )


def _parse(header: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in header.split(","):
        match = _PART.fullmatch(part.strip(" \t"))
        if match is None or match[1].lower() in parts:
            raise UnauthenticatedError
        parts[match[1].lower()] = match[2]
    return parts


@cache
def _instance_by(key_count: int, *secrets: str) -> PreparedQuery[Instance]:
    """Prepare the query for an instance by its Element token and the other secrets, with all that a call needs."""
    columns = {"user": "", "organization": "organization__"}
    wanted = {
        f"organization_user__{columns[name]}secret_digest__in": Param.each(name, key_count)
        for name in secrets
    }
    tokens = Param.each("element", key_count)
    instances = Instance.objects.with_token_digests(tokens).filter(**wanted)
    related = instances.select_related("element", "organization_user__organization")
    return PreparedQuery(related.defer("element__definition").order_by()[:1])


@cache
def _user_by(key_count: int, *secrets: str) -> PreparedQuery[OrganizationUser]:
    """Prepare the query for a user by the named secrets.

    Each secret has one digest per encryption key.
    """
    columns = {"user": "secret_digest", "organization": "organization__secret_digest"}
    wanted = {f"{columns[name]}__in": Param.each(name, key_count) for name in secrets}
    users = OrganizationUser.objects.select_related("organization").filter(**wanted)
    return PreparedQuery(users.order_by()[:1])


def _caller_of(parts: dict[str, str]) -> Caller:
    digests = {
        name: sealing.digests(parts[name]) for name in ("user", "organization") if name in parts
    }
    key_count = len(sealing.encryption_keys())
    if "element" in parts:
        element = sealing.digests(parts["element"])
        instance = _instance_by(key_count, *digests).first(element=element, **digests)
        if instance is None or instance.state == Instance.State.DELETING:
            raise UnauthenticatedError
        return Caller(instance.organization_user, instance)
    user = _user_by(key_count, *digests).first(**digests)
    if user is None:
        raise UnauthenticatedError
    return Caller(user)
