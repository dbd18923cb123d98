"""Whether an element, or one way of authentication, can still be connected, as data."""

import re
from collections.abc import Iterator
from datetime import date
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

SENTENCES = re.compile(r"\S.*[.!?]", re.DOTALL)


class Availability(StrEnum):
    """The values of `status`."""

    CURRENT = "current"
    # The provider no longer accepts it: no new instances.
    RETIRED = "retired"
    # Nobody has seen it work, or nothing can verify it.
    UNVERIFIED = "unverified"


class Sunset(BaseModel):
    """When the provider changes or ends something, and what, as whole sentences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: date
    what: str


class Available(BaseModel):
    """What an element and a way of authentication both say about their availability."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Availability = Availability.CURRENT
    # Why it is retired or unverified, as whole sentences.
    status_reason: str = ""
    # What to connect in place of something retired, as whole sentences.
    use_instead: str = ""
    sunset: Sunset | None = None

    @property
    def retirement(self) -> str:
        """Why it cannot be connected, and what to use instead. Empty if it can be connected."""
        if self.status != Availability.RETIRED:
            return ""
        return f"{self.status_reason} {self.use_instead}"


def problems_of_availability(stated: Available) -> Iterator[tuple[str, str]]:
    """Check that whatever is not current says why, and what is retired says what to use instead."""
    is_current = stated.status == Availability.CURRENT
    is_retired = stated.status == Availability.RETIRED
    if is_current and stated.status_reason:
        yield "status_reason", "needs the status retired or unverified. Set it, or omit the reason."
    if not is_current and not stated.status_reason:
        yield "status_reason", f"is missing. Say why the status is {stated.status}."
    if not is_retired and stated.use_instead:
        yield "use_instead", "needs the status retired. Set it, or omit use_instead."
    if is_retired and not stated.use_instead:
        yield "use_instead", "is missing. Say what to use instead, or that nothing replaces it."
    texts = {"status_reason": stated.status_reason, "use_instead": stated.use_instead}
    if stated.sunset:
        texts["sunset.what"] = stated.sunset.what
        if not stated.sunset.what:
            yield "sunset.what", "must not be empty. Say what ends or changes on that date."
    for place, text in texts.items():
        if text and not SENTENCES.fullmatch(text):
            yield place, "must be whole sentences, with a full stop at the end."
