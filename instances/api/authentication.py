"""Who calls: the Authorization header of contract 2 to an OrganizationUser and, where named, an Instance.

Secrets are looked up by their keyed digest, so nothing is decrypted and nothing is compared by its bytes.
"""

import re
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from instances import crypto
from instances.api.rate_limit import count_call
from instances.errors import PermissionRefusedError
from instances.models import Instance, OrganizationUser
from instances.queries.prepared import Param, PreparedQuery

REFUSAL = "Invalid Organization or User secret, or invalid Element token provided."
BEARER_SALT = "instances.api.bearer"
BEARER_SECONDS = 12 * 60 * 60
# part = scheme [":"] 1*SP secret (contract 2.1); a secret is visible characters without a comma.
_PART = re.compile(r"(user|organization|element)(?::[ \t]*|[ \t]+)([!-+\--~]+)", re.IGNORECASE)
# What a person needs for a call, unless the operation names another permission (security.BearerToken).
_PERMISSION_FOR = {"GET": "view_instance", "POST": "add_instance", "DELETE": "delete_instance"}
_BEARER = re.compile(r"bearer[ \t]+([!-~]+)", re.IGNORECASE)


class UnauthenticatedError(Exception):
    """The header is missing, malformed or wrong; answered 401 with REFUSAL, whichever it was."""


@dataclass(frozen=True, slots=True)
class Caller:
    """user may be read from its Element token alone on hub calls; instance is that of the Element part.

    account: the person who signed in with a password; None for a program that has the secrets.
    """

    user: OrganizationUser
    instance: Instance | None = None
    account: User | None = None


def require_caller(request: HttpRequest, *, permission: str = "") -> Caller:
    """The caller of a platform call: User and Organization, or a Bearer token. Raises UnauthenticatedError,
    PermissionRefusedError.
    """
    caller = optional_caller(request, permission=permission)
    if caller is None:
        raise UnauthenticatedError
    return caller


def optional_caller(request: HttpRequest, *, permission: str = "") -> Caller | None:
    """The caller of a public call: None without a header; a wrong one raises UnauthenticatedError.

    A Bearer token becomes a caller here and nowhere else, so no operation can forget to ask what its person may do:
    permission, or else what the method needs. Raises PermissionRefusedError, RateLimitExceededError. The caller is
    kept on the request, so that it is looked up once.
    """
    known = _known_caller(request)
    header = request.headers.get("Authorization", "").strip()
    if known or not header:
        return known
    if bearer := _BEARER.fullmatch(header):
        caller = _remember(request, _caller_of_bearer(bearer[1]))
        default = _PERMISSION_FOR.get(request.method or "", "change_instance")
        _require_permission(caller, permission or default)
        return caller
    parts = _parse(header)
    if not {"user", "organization"} <= parts.keys():
        raise UnauthenticatedError
    return _remember(request, _caller_of(parts))


def require_hub_instance(request: HttpRequest) -> Instance:
    """The instance of a hub call: User and Element; Organization may be there too (contract 2.2)."""
    caller = _known_caller(request)
    if caller is None:
        parts = _parse(request.headers.get("Authorization", "").strip())
        if not {"user", "element"} <= parts.keys():
            raise UnauthenticatedError
        caller = _remember(request, _caller_of(parts))
    if caller.instance is None:
        raise UnauthenticatedError
    return caller.instance


def require_instance(request: HttpRequest) -> Instance:
    """The instance that the Element part names, on paths without an id."""
    caller = require_caller(request)
    if caller.instance is None:
        raise UnauthenticatedError
    return caller.instance


def is_bearer(request: HttpRequest) -> bool:
    """Whether the header holds a Bearer token in place of the secrets."""
    return bool(_BEARER.fullmatch(request.headers.get("Authorization", "").strip()))


def _known_caller(request: HttpRequest) -> Caller | None:
    return getattr(request, "caller", None)


def _remember(request: HttpRequest, caller: Caller) -> Caller:
    count_call(f"user:{caller.user.pk}", limit=settings.API_CALLS_PER_MINUTE)
    request.caller = caller  # type: ignore[attr-defined]
    return caller


def issue_bearer(user: OrganizationUser, account: User) -> str:
    """A signed token with which the account calls as the organization user, for BEARER_SECONDS at most."""
    return signing.dumps([user.pk, account.pk, _mark(user, account)], salt=BEARER_SALT)


def _mark(user: OrganizationUser, account: User) -> str:
    """Changes with the user's secret and the account's password, and says nothing of them."""
    session = account.get_session_auth_hash()
    return crypto.digest(f"{BEARER_SALT}:{user.secret_digest}:{session}")[:32]


def _caller_of_bearer(token: str) -> Caller:
    """It ends when the account is deactivated or no longer tied to the user, too. Raises UnauthenticatedError."""
    try:
        user_id, account_id, mark = signing.loads(token, salt=BEARER_SALT, max_age=BEARER_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        raise UnauthenticatedError from None
    users = OrganizationUser.objects.select_related("organization", "account")
    tied = users.filter(pk=user_id, account=account_id, account__is_active=True)
    user = tied.first()
    if user is None or user.account is None:
        raise UnauthenticatedError
    if not constant_time_compare(mark, _mark(user, user.account)):
        raise UnauthenticatedError
    return Caller(user, account=user.account)


def _require_permission(caller: Caller, permission: str) -> None:
    if caller.account and not caller.account.has_perm(f"instances.{permission}"):
        raise PermissionRefusedError(
            f"{caller.account.get_username()} does not have the permission {permission}, which this call needs. "
            "Ask an administrator for it."
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
def _user_by(key_count: int, *secrets: str) -> PreparedQuery[OrganizationUser]:
    """Finds the user by the secrets named, each with as many digests as there are keys."""
    columns = {"user": "secret_digest", "organization": "organization__secret_digest"}
    wanted = {f"{columns[name]}__in": Param.each(name, key_count) for name in secrets}
    users = OrganizationUser.objects.select_related("organization").filter(**wanted)
    return PreparedQuery(users.order_by()[:1])


def _caller_of(parts: dict[str, str]) -> Caller:
    digests = {
        name: crypto.digests(parts[name]) for name in ("user", "organization") if name in parts
    }
    user = _user_by(len(crypto.encryption_keys()), *digests).first(**digests)
    if user is None:
        raise UnauthenticatedError
    if "element" not in parts:
        return Caller(user)
    instances = Instance.objects.select_related("element").with_token(parts["element"])
    instance = instances.filter(organization_user=user).first()
    if instance is None or instance.state == Instance.State.DELETING:
        raise UnauthenticatedError
    instance.organization_user = user
    return Caller(user, instance)
