"""Accounts, organizations, users and their secrets (contract 8.4, 10)."""

from typing import Any, Literal, Self

from instances.api.documents.base import ResponseDocument, WireDate
from instances.models import Organization, OrganizationUser


class AccountDocument(ResponseDocument):
    """An account, which is an organization (contract 8.4)."""

    id: int
    name: str
    description: str
    external_id: str
    company_id: int
    default_account: Literal[True] = True
    active: Literal[True] = True
    created_date: WireDate
    type: Literal["organization"] = "organization"

    @classmethod
    def of(cls, organization: Organization, **details: Any) -> Self:
        return cls(
            id=organization.pk,
            name=organization.name,
            description=organization.name,
            external_id=str(organization.uid),
            company_id=organization.pk,
            created_date=organization.created_at,
            **details,
        )


class OrganizationDocument(AccountDocument):
    """The caller's organization.

    Its secret is masked unless the caller sent it.
    """

    secret: str


class UserDocument(ResponseDocument):
    """A user of an organization, without the secret (contract 8.4)."""

    id: int
    first_name: str
    last_name: str
    full_name: str
    email: str
    active: Literal[True] = True
    organization_id: int
    account_id: int
    created_date: WireDate

    @classmethod
    def of(cls, user: OrganizationUser, **details: Any) -> Self:
        return cls(
            id=user.pk,
            first_name=user.first_name,
            last_name=user.last_name,
            full_name=f"{user.first_name} {user.last_name}".strip(),
            email=user.email,
            organization_id=user.organization_id,
            account_id=user.organization_id,
            created_date=user.created_at,
            **details,
        )


class SignedInDocument(UserDocument):
    """token: for `Authorization: Bearer` (contract 10)."""

    token: str


class SecretsDocument(ResponseDocument):
    """The two secrets that platform calls need (contract 10)."""

    user_secret: str
    organization_secret: str


class PongDocument(ResponseDocument):
    """The result of a successful connection test (contract 8.4)."""

    date_time: str
    endpoint: str
    valid: Literal[True] = True
