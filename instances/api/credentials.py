"""The credential of an instance, for programs that call the provider themselves (contract for hubs, 12.2)."""

from datetime import timedelta

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from instances.api.authentication import require_caller
from instances.api.documents.base import ResponseDocument, WireDate
from instances.api.documents.instances import wire_id
from instances.api.parameters import Parameters
from instances.api.path_variants import INSTANCE_BY_ID, operation
from instances.api.responses import PLATFORM, answers
from instances.api.security import PlatformSecrets
from instances.hubs.credentials import MAX_LIFETIME, read_credentials
from instances.models import Instance

router = Router(tags=["Instances"], by_alias=True)


class CredentialsDocument(ResponseDocument):
    """An access token or API key. Not part of the vendor's API.

    scheme: bearer or apiKey. headers: those that carry it. baseUrl: null if the element's file states none. expiresAt:
    null if it does not end, or nobody knows when.
    """

    instance_id: int
    element_key: str
    base_url: str | None
    scheme: str
    access_token: str
    headers: dict[str, str]
    expires_at: WireDate | None


class Lifetime(Parameters):
    """How long the credential must last."""

    minimum_lifetime: int = Field(
        60,
        ge=0,
        le=int(MAX_LIFETIME.total_seconds()),
        description="Seconds. A token that ends sooner is refreshed first, if that is possible",
    )


@operation(
    router,
    "GET",
    (INSTANCE_BY_ID,),
    "/credentials",
    # Not for people: what a Bearer token may do does not depend on the organization user's own permission.
    auth=[PlatformSecrets()],
    response=answers(CredentialsDocument, 404, *PLATFORM),
)
def get_credentials(
    request: HttpRequest, instance: Instance, lifetime: Query[Lifetime]
) -> CredentialsDocument:
    """Get the access token or API key of an instance.

    Only for organization users that an operator allowed it to, and each call is recorded. Never a refresh token, a
    password or a client secret: for elements with other credentials the answer is 400. Prefer the proxy.

    Not part of the vendor's API.
    """
    credentials = read_credentials(
        instance,
        minimum_lifetime=timedelta(seconds=lifetime.minimum_lifetime),
        actor=require_caller(request).actor,
    )
    return CredentialsDocument(
        instance_id=wire_id(instance),
        element_key=instance.element_key,
        base_url=credentials.base_url or None,
        scheme=credentials.scheme,
        access_token=credentials.access_token,
        headers=dict(credentials.headers),
        expires_at=credentials.expires_at,
    )
