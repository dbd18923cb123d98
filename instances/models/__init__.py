"""Tables, constraints and querysets."""

from instances.models.accounts import AccountPart
from instances.models.authorization_links import AuthorizationLink
from instances.models.authorizations import Authorization
from instances.models.bulk_jobs import BulkFilePart, BulkJob, BulkRow
from instances.models.element_requests import ElementRequest
from instances.models.elements import Element
from instances.models.idempotency_keys import IdempotencyKey
from instances.models.instances import Instance, StateChange, Tag
from instances.models.interactions import Interaction
from instances.models.oauth_apps import OAuthApp
from instances.models.organizations import Membership, Organization, OrganizationUser
from instances.models.process_beats import ProcessBeat

__all__ = [
    "AccountPart",
    "Authorization",
    "AuthorizationLink",
    "BulkFilePart",
    "BulkJob",
    "BulkRow",
    "Element",
    "ElementRequest",
    "IdempotencyKey",
    "Instance",
    "Interaction",
    "Membership",
    "OAuthApp",
    "Organization",
    "OrganizationUser",
    "ProcessBeat",
    "StateChange",
    "Tag",
]
