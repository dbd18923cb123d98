"""Accounts, organizations, users (contract 8.4) and sign-in (contract 10)."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from ninja import Query, Router

from instances import passwords
from instances.api import documents
from instances.api.authentication import (
    Caller,
    UnauthenticatedError,
    issue_bearer,
    require_caller,
    require_hub_instance,
)
from instances.api.errors import NotFoundError
from instances.api.instances import shown_token, visible_instances
from instances.api.middleware import error_response
from instances.api.paging import list_response, page_response
from instances.api.parameters import Page
from instances.api.responses import BODY, PLATFORM, answers
from instances.api.schemas import (
    AccountDocument,
    FullInstanceDocument,
    OrganizationDocument,
    PongDocument,
    SecretsDocument,
    SignedInDocument,
    UserDocument,
)
from instances.api.security import HUB_CALL, PLATFORM_CALL, BearerToken
from instances.catalogue.configuration_keys import MASK
from instances.models import Instance, OrganizationUser
from instances.provisioning.access.tokens import reveal_secrets
from instances.provisioning.lifecycle.check import check_instance
from instances.wire import Document

router = Router(tags=["Accounts"], by_alias=True, auth=PLATFORM_CALL)
USERS = answers(list[UserDocument], 404)
INSTANCES = answers(list[FullInstanceDocument], 404)
PONG = answers(PongDocument, 404, *PLATFORM)


class Credentials(Document):
    """User name and password of a user of Instance Manager."""

    username: str
    password: str


@router.post(
    "/authentication",
    response=answers(SignedInDocument, *BODY),
    auth=None,
    openapi_extra={"security": []},
)
@sensitive_variables("body")
def sign_in(request: HttpRequest, body: Credentials) -> HttpResponse:
    """Get a Bearer token for a user who is linked to an organization user.

    It expires after 12 hours.

    The token grants what the user's role allows. It stops working when the password changes, or when the user is
    deactivated or unlinked.
    """
    user = passwords.check_password(request, body.username, body.password)
    if user is None:
        raise UnauthenticatedError
    organization_users = OrganizationUser.objects.select_related("organization")
    organization_user = organization_users.filter(user=user).first()
    if organization_user is None:
        raise UnauthenticatedError
    token = issue_bearer(organization_user, user)
    return JsonResponse(documents.user_document(organization_user) | {"token": token})


@router.get(
    "/authentication/secrets",
    response=answers(SecretsDocument),
    auth=BearerToken("reveal_secrets"),
)
def read_secrets(request: HttpRequest) -> HttpResponse:
    """Reveal the user secret and the organization secret.

    Needs a permission, and is recorded.
    """
    caller = require_caller(request)
    if caller.user is None:
        raise UnauthenticatedError
    shown = reveal_secrets(caller.organization_user, user=caller.user)
    return JsonResponse({"userSecret": shown.user, "organizationSecret": shown.organization})


@router.get("/organizations/me", response=answers(OrganizationDocument))
def read_organization(request: HttpRequest) -> HttpResponse:
    """Get the caller's organization, including its secret if the caller sent it."""
    caller = require_caller(request)
    organization = caller.organization_user.organization
    secret = organization.secret.reveal() if caller.user is None else MASK
    return JsonResponse(documents.account_document(organization) | {"secret": secret})


@router.get("/users", response=USERS)
def list_users(request: HttpRequest, page: Query[Page]) -> HttpResponse:
    """List the users of the caller's organization."""
    return _users(request, page)


@router.get("/organizations/users", response=USERS)
def list_organization_users(request: HttpRequest, page: Query[Page]) -> HttpResponse:
    """List the users of the caller's organization; the same as `GET /users`."""
    return _users(request, page)


@router.get("/users/{email_or_id}", response=answers(UserDocument, 404))
def read_user(request: HttpRequest, email_or_id: str) -> HttpResponse:
    """Get a user of the caller's organization by email address or id."""
    users = require_caller(request).organization_user.organization.users.all()
    is_id = email_or_id.isascii() and email_or_id.isdigit()
    user = users.filter(email__iexact=email_or_id).first()
    if user is None and is_id:
        user = users.filter(pk=int(email_or_id[:18])).first()
    if user is None:
        raise NotFoundError(f"No user found with ID {email_or_id}")
    return JsonResponse(documents.user_document(user))


@router.get("/accounts", response=answers(list[AccountDocument], 404))
def list_accounts(request: HttpRequest) -> HttpResponse:
    """List the caller's accounts: exactly one."""
    organization = require_caller(request).organization_user.organization
    return list_response([documents.account_document(organization)], things="accounts")


@router.get("/accounts/instances", response=INSTANCES)
def list_account_instances(request: HttpRequest, page: Query[Page]) -> HttpResponse:
    """List the caller's instances in their short form."""
    return _short_instances(require_caller(request), page)


@router.get("/accounts/{int:account_id}", response=answers(AccountDocument, 404))
def read_account(request: HttpRequest, account_id: int) -> HttpResponse:
    """Get an account."""
    organization = require_caller(request).organization_user.organization
    if organization.pk != account_id:
        raise NotFoundError(f"No account found with ID {account_id}")
    return JsonResponse(documents.account_document(organization))


@router.get("/accounts/{int:account_id}/instances", response=INSTANCES)
def list_instances_of_account(
    request: HttpRequest, account_id: int, page: Query[Page]
) -> HttpResponse:
    """List the instances of an account in their short form."""
    caller = require_caller(request)
    if caller.organization_user.organization_id != account_id:
        raise NotFoundError(f"No account found with ID {account_id}")
    return _short_instances(caller, page)


@router.get("/ping", response=PONG, auth=HUB_CALL)
def ping(request: HttpRequest) -> HttpResponse:
    """Test the connection of the Element token."""
    return _ping(request)


@router.get("/hubs/{hub}/ping", response=PONG, auth=HUB_CALL)
def ping_hub(request: HttpRequest, hub: str) -> HttpResponse:
    """Test the connection of the Element token; the hub in the path is ignored."""
    return _ping(request)


def _ping(request: HttpRequest) -> HttpResponse:
    instance = require_hub_instance(request)
    if instance.is_disabled:
        why = f"{instance.name} is disabled; enable it first"
        return error_response(request, 403, why)
    check_instance(instance, actor="API: ping")
    now = timezone.now().isoformat(timespec="milliseconds")
    return JsonResponse({"dateTime": now, "endpoint": instance.element.key})


def _users(request: HttpRequest, page: Page) -> HttpResponse:
    users = require_caller(request).organization_user.organization.users.all()
    return page_response(users, page, documents.user_document, things="users")


def _short_instances(caller: Caller, page: Page) -> HttpResponse:
    def document(instance: Instance) -> dict[str, Any]:
        token = shown_token(caller, instance, is_listed=True)
        return documents.instance_document(instance, token=token, is_hydrated=False)

    return page_response(
        visible_instances(caller.organization_user), page, document, things="instances"
    )
