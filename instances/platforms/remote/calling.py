"""Where a remote platform's API is, and how hub calls carry an instance's secrets (contract for hubs, 1)."""

from instances.errors import ClientRefusedError
from instances.models import Organization
from instances.platforms.base import CallHeaders

API_PATH = "/elements/api-v2"
# How messages name the platform.
PLATFORM = "The remote platform"


def api_url_of(organization: Organization) -> str:
    """Return the base URL of the platform's API, without a slash at its end."""
    return organization.platform_url.rstrip("/").removesuffix(API_PATH) + API_PATH


def hub_call_headers(label: str, user_secret: str, element_token: str) -> CallHeaders:
    """Return the headers of a hub call. label: of the instance, for the message. Raises ClientRefusedError."""
    if not (user_secret and element_token):
        raise ClientRefusedError(
            f"{label}: The remote platform's secret of the user, or the Element token, is missing, so nothing was sent. "
            "Enter the user's secret, or connect the instance again."
        )
    return CallHeaders({}, {"Authorization": f"User {user_secret}, Element {element_token}"})
