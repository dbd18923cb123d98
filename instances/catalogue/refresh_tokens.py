"""How long refresh tokens work, as data."""

from collections.abc import Iterator
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

# As long as a lifetime that is stated counts at most (platforms/embedded/token_answers.py).
_MAX_DAYS = 3650
_MAX_GRACE_SECONDS = 86_400


class Rotation(StrEnum):
    """Whether a refresh replaces the refresh token."""

    NONE = "none"
    ROTATING = "rotating"


class RefreshTokenFacts(BaseModel):
    """How long a provider's refresh tokens work. None: not stated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The days after which an unused one ends.
    refresh_token_idle_days: int | None = None
    # The days after which all of them end, counted from the account owner's consent.
    refresh_token_max_days: int | None = None
    refresh_token_rotation: Rotation | None = None
    # How long a replaced one still works, for a response that was lost.
    refresh_token_grace_seconds: int | None = None


def problems_of_lifetimes(
    stated: RefreshTokenFacts, *, obtains_token: bool
) -> Iterator[tuple[str, str]]:
    """Check that lifetimes are numbers of days, in an order that is possible."""
    if not obtains_token:
        names = (name for name in RefreshTokenFacts.model_fields if getattr(stated, name))
        yield from ((name, "needs a grant_type, by which tokens are requested.") for name in names)
    idle, most = stated.refresh_token_idle_days, stated.refresh_token_max_days
    for name, days in (("refresh_token_idle_days", idle), ("refresh_token_max_days", most)):
        if days is not None and not 1 <= days <= _MAX_DAYS:
            yield name, f"must be a number of days from 1 to {_MAX_DAYS}."
    if idle and most and idle > most:
        yield "refresh_token_idle_days", "must not be more than refresh_token_max_days."
    grace = stated.refresh_token_grace_seconds
    if grace is not None and not 1 <= grace <= _MAX_GRACE_SECONDS:
        yield "refresh_token_grace_seconds", f"must be a number from 1 to {_MAX_GRACE_SECONDS}."
    if grace is not None and stated.refresh_token_rotation is not Rotation.ROTATING:
        yield "refresh_token_grace_seconds", 'needs refresh_token_rotation = "rotating".'
