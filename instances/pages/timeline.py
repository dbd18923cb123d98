"""The timeline of an instance: its state changes and exchanges in one list, latest first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import groupby, islice

from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _, ngettext

from instances.models import Instance, Interaction, StateChange
from instances.pages.exchanges import Exchange, exchange_of
from instances.provisioning.lifecycle.states import State

PER_PAGE = 40
_MEANINGS = {
    State.CONNECTED: "healthy",
    State.FAILED: "broken",
    State.NEEDS_REAUTHORIZATION: "broken",
    State.UNKNOWN: "attention",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line. since: the time of the first, if it stands for several. exchange: what can be opened."""

    at: datetime
    title: str
    icon: str
    meaning: str = ""
    code: str = ""
    is_error: bool = False
    detail: str = ""
    who: str = ""
    since: datetime | None = None
    exchange: Exchange | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of events. older: the position of the next page, or empty."""

    events: list[Event]
    older: str


def timeline_of(instance: Instance, *, position: str, has_exchanges: bool) -> Timeline:
    """Read a page of the timeline. position: that of a former page, or empty for the first."""
    changes = instance.state_changes.all()
    # Of a connection that is used a lot, data calls would hide everything else.
    exchanges = instance.interactions.filter(kind=Interaction.Kind.EXCHANGE).defer(
        "request_headers", "request_body", "response_headers", "response_body"
    )
    before_change, before_exchange = _parse(position)
    if before_change:
        changes = changes.filter(pk__lt=before_change)
    if before_exchange:
        exchanges = exchanges.filter(pk__lt=before_exchange)
    # Each list keeps its own order, so that the ids of the last ones shown are the position.
    sources: list[Iterable[StateChange | Interaction]] = [changes[: PER_PAGE + 1]]
    if has_exchanges:
        sources.append(exchanges[: PER_PAGE + 1])
    rows = merge(*sources, key=_time_of, reverse=True)
    shown = list(islice(rows, PER_PAGE))
    is_last = next(rows, None) is None
    return Timeline(
        _events(shown), "" if is_last else _position(shown, before_change, before_exchange)
    )


def _time_of(row: StateChange | Interaction) -> datetime:
    return row.at if isinstance(row, StateChange) else row.started_at


def _parse(position: str) -> tuple[int, int]:
    """Return the ids of the state change and of the interaction before which a page begins; 0: at the first."""
    change, _separator, exchange = position.partition("-")
    is_valid = all(
        part.isascii() and part.isdecimal() and len(part) < 19 for part in (change, exchange)
    )
    return (int(change), int(exchange)) if is_valid else (0, 0)


def _position(
    shown: Sequence[StateChange | Interaction], before_change: int, before_exchange: int
) -> str:
    for row in shown:
        if isinstance(row, StateChange):
            before_change = row.pk
        else:
            before_exchange = row.pk
    return f"{before_change}-{before_exchange}"


def _events(rows: Sequence[StateChange | Interaction]) -> list[Event]:
    groups = [list(group) for _key, group in groupby(rows, key=_fold_key)]
    single = [
        group[0].pk for group in groups if isinstance(group[0], Interaction) and not group[1:]
    ]
    whole = Interaction.objects.in_bulk(single)
    return list(_events_of(groups, whole))


def _fold_key(row: StateChange | Interaction) -> tuple[object, ...]:
    """Repeated successes on the same day have the same key; every other row has its own."""
    if isinstance(row, StateChange) or row.is_failure:
        return type(row).__name__, row.pk
    return row.operation, row.actor, timezone.localdate(row.started_at)


def _events_of(
    groups: list[list[StateChange | Interaction]], whole: dict[int, Interaction]
) -> Iterator[Event]:
    for group in groups:
        latest = group[0]
        if isinstance(latest, StateChange):
            yield _of_change(latest)
        elif len(group) == 1:
            yield _of_exchange(whole.get(latest.pk, latest))
        else:
            yield _of_repeated(latest, since=_time_of(group[-1]), count=len(group))


def _of_change(change: StateChange) -> Event:
    if change.from_state == change.to_state:
        return Event(at=change.at, title=change.reason, who=change.actor, icon="edit")
    came_from, to = change.get_from_state_display(), change.get_to_state_display()
    return Event(
        at=change.at,
        title=f"{capfirst(came_from)} → {capfirst(to)}" if came_from else capfirst(to),
        detail=change.reason.removeprefix(f"{change.instance.label}: "),
        who=change.actor,
        meaning=_MEANINGS.get(State(change.to_state), ""),
        icon="check" if change.to_state == State.CONNECTED else "pulse",
    )


def _of_exchange(interaction: Interaction) -> Event:
    exchange = exchange_of(interaction)
    return Event(
        at=interaction.started_at,
        title=capfirst(interaction.operation),
        code=exchange.status,
        is_error=interaction.is_failure,
        detail=interaction.error,
        who=interaction.actor,
        meaning="broken" if interaction.is_failure else "healthy",
        icon="swap",
        exchange=exchange,
    )


def _of_repeated(latest: Interaction, *, since: datetime, count: int) -> Event:
    times = ngettext("%(count)d time", "%(count)d times", count) % {"count": count}
    return Event(
        at=latest.started_at,
        since=since,
        title=_("%(operation)s, %(times)s")
        % {"operation": capfirst(latest.operation), "times": times},
        code=Exchange(latest, []).status,
        who=latest.actor,
        meaning="healthy",
        icon="refresh",
    )
