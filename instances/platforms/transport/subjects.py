"""What an exchange is about."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from instances.deadlines import Deadline
from instances.platforms.base import PlatformRequest


@dataclass(frozen=True, slots=True)
class Subject:
    """What an exchange is about, and the limits that apply to it."""

    organization_id: int
    instance_id: int | None
    # How messages and records name the instance, such as "Acme (crm, id 7)".
    label: str
    # A label such as "Refresh token"; stored with the interaction.
    operation: str
    # Who answers; messages begin with it, as in "Salesforce rejected the refresh token".
    provider: str = "The provider"
    actor: str = ""
    # Hosts that may be called for this subject although their addresses are private.
    private_hosts: tuple[str, ...] = ()
    # Values that no record of the exchange may show.
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    # For the whole exchange; None means HTTP_TIMEOUT_SECONDS.
    timeout_seconds: float | None = None
    # Nothing is sent after it.
    deadline: Deadline | None = field(default=None, compare=False)


def subject_of(
    platform_request: PlatformRequest,
    operation: str,
    *,
    provider: str = "",
    secrets: Iterable[str] = frozenset(),
    timeout_seconds: float | None = None,
) -> Subject:
    """Return the subject of one operation for a platform request.

    provider: who answers; the element's name unless given. secrets: in addition to the request's own, for example
    the platform's.
    """
    return Subject(
        organization_id=platform_request.organization.pk,
        instance_id=platform_request.instance_id,
        label=platform_request.label,
        operation=operation,
        provider=provider or platform_request.element.name,
        actor=platform_request.actor,
        private_hosts=platform_request.private_hosts,
        secrets=platform_request.secrets | frozenset(secrets),
        timeout_seconds=timeout_seconds,
        deadline=platform_request.deadline,
    )
