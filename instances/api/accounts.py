"""Accounts, organizations, users (contract 8.4) and sign-in (contract 10)."""

from contextlib import suppress

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from ninja import Query, Router

from instances import passwords
from instances.api.authentication import UnauthenticatedError, issue_bearer, require_caller
from instances.api.documents.accounts import (
    AccountDocument,
    OrganizationDocument,
    PongDocument,
    SecretsDocument,
    SignedInDocument,
    UserDocument,
)
from instances.api.documents.instances import InstanceDocument
from instances.api.errors import NotFoundError
from instances.api.instances import listed_document
from instances.api.paging import complete_list, page_of_rows
from instances.api.parameters import Page
from instances.api.path_variants import ACCOUNT, ACCOUNTS, HUB_CALLS, operation
from instances.api.responses import BODY, PLATFORM, answers
from instances.api.security import HUB_CALL, PLATFORM_CALL, BearerToken
from instances.api.visible import visible_instances
from instances.catalogue.configuration_keys import MASK
from instances.errors import NoCheckError
from instances.hubs.calls import require_enabled
from instances.models import Instance, Organization, OrganizationUser
from instances.provisioning.access.tokens import reveal_secrets
from instances.provisioning.lifecycle.check import check_instance
from instances.wire import Document

router = Router(tags=["Accounts"], by_alias=True, auth=PLATFORM_CALL)
USERS = answers(list[UserDocument], 404)


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
def sign_in(request: HttpRequest, body: Credentials) -> SignedInDocument:
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
    return SignedInDocument.of(organization_user, token=issue_bearer(organization_user, user))


@router.get(
    "/authentication/secrets",
    response=answers(SecretsDocument),
    auth=BearerToken("reveal_secrets"),
)
def read_secrets(request: HttpRequest) -> SecretsDocument:
    """Reveal the user secret and the organization secret.

    Needs a permission, and is recorded.
    """
    caller = require_caller(request)
    if caller.user is None:
        raise UnauthenticatedError
    shown = reveal_secrets(caller.organization_user, user=caller.user)
    return SecretsDocument(user_secret=shown.user, organization_secret=shown.organization)


@router.get("/organizations/me", response=answers(OrganizationDocument))
def read_organization(request: HttpRequest) -> OrganizationDocument:
    """Get the caller's organization, including its secret if the caller sent it."""
    caller = require_caller(request)
    organization = caller.organization_user.organization
    secret = organization.secret.reveal() if caller.user is None else MASK
    return OrganizationDocument.of(organization, secret=secret)


@router.get("/users", response=USERS)
@router.get("/organizations/users", response=USERS, operation_id="list_organization_users")
def list_users(
    request: HttpRequest, response: HttpResponse, page: Query[Page]
) -> list[UserDocument]:
    """List the users of the caller's organization; the same at both paths."""
    users = require_caller(request).organization_user.organization.users.all()
    return [UserDocument.of(user) for user in page_of_rows(response, users, page, things="users")]


@router.get("/users/{email_or_id}", response=answers(UserDocument, 404))
def read_user(request: HttpRequest, email_or_id: str) -> UserDocument:
    """Get a user of the caller's organization by email address or id."""
    users = require_caller(request).organization_user.organization.users.all()
    is_id = email_or_id.isascii() and email_or_id.isdigit()
    user = users.filter(email__iexact=email_or_id).first()
    if user is None and is_id:
        user = users.filter(pk=int(email_or_id[:18])).first()
    if user is None:
        raise NotFoundError(f"No user found with ID {email_or_id}")
    return UserDocument.of(user)


@router.get("/accounts", response=answers(list[AccountDocument], 404))
def list_accounts(request: HttpRequest, response: HttpResponse) -> list[AccountDocument]:
    """List the caller's accounts: exactly one."""
    organization = require_caller(request).organization_user.organization
    return complete_list(response, [AccountDocument.of(organization)], things="accounts")


@operation(router, "GET", ACCOUNTS, "/instances", response=answers(list[InstanceDocument], 404))
def list_account_instances(
    request: HttpRequest, account: Organization, response: HttpResponse, page: Query[Page]
) -> list[InstanceDocument]:
    """List the caller's instances in their short form."""
    caller = require_caller(request)
    rows = visible_instances(caller.organization_user)
    return [
        listed_document(caller, instance, is_hydrated=False)
        for instance in page_of_rows(response, rows, page, things="instances")
    ]


@operation(router, "GET", (ACCOUNT,), response=answers(AccountDocument, 404))
def read_account(request: HttpRequest, account: Organization) -> AccountDocument:
    """Get an account."""
    return AccountDocument.of(account)


@operation(
    router,
    "GET",
    HUB_CALLS,
    "/ping",
    auth=HUB_CALL,
    response=answers(PongDocument, 404, *PLATFORM),
)
def ping(request: HttpRequest, instance: Instance) -> PongDocument:
    """Test the connection of the Element token."""
    require_enabled(instance)
    # Without a check there is nothing to ask: the instance is as usable as it can be known to be.
    with suppress(NoCheckError):
        check_instance(instance, actor="API: ping")
    now = timezone.now().isoformat(timespec="milliseconds")
    return PongDocument(date_time=now, endpoint=instance.element.key)
