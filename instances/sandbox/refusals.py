"""Accounts, hosts and secrets that the sandbox refuses, each for a reason of its own, in Microsoft's words."""

from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError

# By the user name that is refused, with any password.
REFUSED_ACCOUNTS = {
    "mfa@sandbox.example": "AADSTS50076: You must use multi-factor authentication to access this resource.",
    "mfa-setup@sandbox.example": "AADSTS50079: You must enroll in multi-factor authentication.",
    "policy@sandbox.example": "AADSTS53003: Access has been blocked by Conditional Access policies.",
    "consent@sandbox.example": "AADSTS65001: The user or administrator has not consented to use the application.",
    "nobody@sandbox.example": "AADSTS50034: The user account does not exist in this directory.",
    "locked@sandbox.example": "AADSTS50053: The account is locked.",
    "expired@sandbox.example": "AADSTS50055: The password is expired.",
    "disabled@sandbox.example": "AADSTS50057: The user account is disabled.",
}
# The first label of a host that no environment has, and of one where the application has no security role.
UNKNOWN_HOST = "unknown"
HOST_WITHOUT_ROLE = "norole"


def refuse_account(username: str) -> None:
    """Raise InvalidGrantError if the account may not sign in."""
    if why := REFUSED_ACCOUNTS.get(username.strip().casefold()):
        raise InvalidGrantError(why)


def refuse_host(asked: str) -> None:
    """Raise InvalidRequestError for tokens of a host that does not exist. asked: the scope or the resource."""
    if host_of(asked).startswith(f"{UNKNOWN_HOST}."):
        raise InvalidRequestError(
            f"AADSTS500011: The resource principal named {asked} was not found in the tenant."
        )


def lacks_role(asked: str) -> bool:
    """Whether the application user of the host that tokens were asked for has no security role."""
    return host_of(asked).startswith(f"{HOST_WITHOUT_ROLE}.")


def host_of(asked: str) -> str:
    first = asked.split(maxsplit=1)[:1]
    try:
        return urlsplit(first[0]).hostname or "" if first else ""
    except ValueError:
        return ""
