"""The status of every instance: one table, in Python and in SQL."""

import itertools
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from instances.causes import Cause, WhoActs
from instances.models import AuthorizationLink, Instance
from instances.provisioning.status.explain import explain
from instances.provisioning.status.meaning import (
    Facts,
    Meaning,
    Status,
    annotate_status,
    facts_of,
    meaning_of,
    with_own_status,
    with_status,
)
from instances.provisioning.status.overview import count_statuses
from tests.support.factories import make_instance, make_organization_user, make_user

State = Instance.State
OWNER, OPERATOR, NOBODY = WhoActs.ACCOUNT_OWNER, WhoActs.OPERATOR, WhoActs.NOBODY
NOT_PAUSED = {State.DRAFT, State.DELETING}
BROKEN_STATES = [State.NEEDS_REAUTHORIZATION, State.FAILED]
WORK = [State.PROVISIONING, State.UNKNOWN, State.DELETING]


def row(status, who, **facts):
    return Facts(**facts), Meaning(status, who)


TABLE = [
    *(
        row(Status.PAUSED, OPERATOR, state=state, is_disabled=True, cause=cause)
        for state in State
        if state not in NOT_PAUSED
        for cause in ("", Cause.GRANT_REJECTED)
    ),
    row(Status.WAITING, OPERATOR, state="draft", is_disabled=True),
    row(Status.BUSY, NOBODY, state="deleting", is_disabled=True),
    row(Status.HEALTHY, NOBODY, state="connected"),
    row(Status.ATTENTION, NOBODY, state="connected", cause="provider_down"),
    row(Status.BROKEN, NOBODY, state="connected", cause="provider_down", is_token_ended=True),
    row(Status.ATTENTION, OWNER, state="connected", cause="access_forbidden"),
    row(Status.BROKEN, OWNER, state="connected", cause="access_forbidden", is_token_ended=True),
    row(Status.ATTENTION, NOBODY, state="connected", cause="grant_rejected", is_refused_once=True),
    row(
        Status.ATTENTION,
        NOBODY,
        state="connected",
        cause="grant_rejected",
        is_refused_once=True,
        is_token_ended=True,
    ),
    row(Status.ATTENTION, OWNER, state="connected", is_ending=True),
    row(Status.UNVERIFIED, NOBODY, state="connected", is_verified=False),
    row(Status.PAUSED, NOBODY, state="connected", cause="provider_down", has_incident=True),
    row(
        Status.PAUSED,
        NOBODY,
        state="connected",
        cause="provider_down",
        has_incident=True,
        is_token_ended=True,
        is_verified=False,
    ),
    row(Status.HEALTHY, NOBODY, state="connected", has_incident=True),
    row(Status.BROKEN, OWNER, state="needs_reauthorization"),
    row(Status.BROKEN, OPERATOR, state="failed"),
    *(
        row(Status.BROKEN, who, state=state, cause=cause)
        for state in BROKEN_STATES
        for cause, who in [
            (Cause.GRANT_REJECTED, OWNER),
            (Cause.CLIENT_REJECTED, OPERATOR),
            (Cause.PROVIDER_DOWN, OPERATOR),
            ("of a later version", OPERATOR),
        ]
    ),
    row(Status.BROKEN, OWNER, state="failed", cause="configuration_wrong", has_open_link=True),
    row(Status.BROKEN, OPERATOR, state="failed", cause="client_rejected", has_open_link=True),
    row(Status.WAITING, OWNER, state="awaiting_authorization"),
    row(Status.ATTENTION, OWNER, state="awaiting_authorization", is_late=True),
    row(Status.WAITING, OWNER, state="draft", has_open_link=True),
    row(Status.ATTENTION, OWNER, state="draft", has_open_link=True, is_late=True),
    row(Status.WAITING, OPERATOR, state="draft"),
    row(Status.WAITING, OPERATOR, state="draft", is_late=True),
    *(row(Status.BUSY, NOBODY, state=state) for state in WORK),
    *(row(Status.ATTENTION, NOBODY, state=state, is_late=True) for state in WORK),
    row(Status.ATTENTION, OPERATOR, state="unknown", cause="client_rejected", is_late=True),
    *(row(Status.BROKEN, OPERATOR, state=state, is_unreadable=True) for state in State),
    row(Status.BROKEN, OPERATOR, state="connected", is_unreadable=True, is_disabled=True),
]


@pytest.mark.parametrize(("facts", "meaning"), TABLE)
def test_every_row_of_the_table_has_its_status_and_who_acts(facts, meaning):
    assert meaning_of(facts) == meaning


NOW = timezone.now()
# What can be read from the columns of a row, apart from the state.
COLUMNS: dict[str, list[dict[str, Any]]] = {
    "is_disabled": [{}, {"is_disabled": True}],
    "cause": [{}, {"cause": Cause.PROVIDER_DOWN}],
    "token": [
        {},
        {"expires_at": NOW - timedelta(minutes=1), "has_refresh_token": False},
        {"expires_at": NOW + timedelta(days=1), "has_refresh_token": False},
        {
            "expires_at": NOW - timedelta(minutes=1),
            "has_refresh_token": True,
            "refresh_due_at": NOW,
        },
        {
            "expires_at": NOW - timedelta(minutes=1),
            "has_refresh_token": True,
            "refresh_due_at": NOW,
            "refresh_failures": 1,
        },
        {"refresh_refusals": 1},
        {"refresh_refusals": 1, "expires_at": NOW - timedelta(minutes=1)},
    ],
    "age": [{}, {"age": timedelta(hours=1)}, {"age": timedelta(hours=25)}],
    "verified": [{"verified_at": NOW}, {"verified_at": None}],
    "other": [{}, {"quarantined_at": NOW}, {"link": True}],
}


@pytest.fixture
def every_combination(db):
    """Instances with every combination of columns, in every state."""
    user = make_user(is_superuser=True)
    owner = make_organization_user()
    element = make_instance(organization_user=owner).element
    Instance.objects.all().delete()
    rows, ages, linked = [], [], []
    for number, parts in enumerate(itertools.product(State, *COLUMNS.values())):
        state, chosen = parts[0], parts[1:]
        columns = {name: value for part in chosen for name, value in part.items()}
        age, has_link = columns.pop("age", timedelta(0)), columns.pop("link", False)
        row = Instance(organization_user=owner, element=element, name=str(number), **columns)
        row.token = f"token-{number}"
        if row.has_refresh_token is not None:
            row.tokens = {"access_token": "a"}
        row.accept_move(state=state)
        rows.append(row)
        ages.append(NOW - age)
        linked.append(has_link)
    Instance.objects.bulk_create(rows)
    for row, changed_at in zip(rows, ages, strict=True):
        row.state_changed_at = changed_at
    Instance.objects.bulk_update(rows, ["state_changed_at"], batch_size=500)
    AuthorizationLink.objects.bulk_create(
        AuthorizationLink(
            instance=row,
            made_by=user,
            token_digest=row.name,
            expires_at=NOW + timedelta(days=1),
        )
        for row, has_link in zip(rows, linked, strict=True)
        if has_link
    )
    with connection.cursor() as cursor:
        # As PostgreSQL does by itself after a while. With what it knew of an empty table, queries took minutes.
        cursor.execute("ANALYZE")
    return Instance.objects.all()


@pytest.mark.slow
def test_the_query_says_the_same_as_the_table(every_combination):
    columns = ["pk", "shown_status"]
    shown = dict(annotate_status(every_combination, at=NOW).values_list(*columns))
    rows = list(every_combination.with_links())
    assert {row.pk: meaning_of(facts_of(row, at=NOW)).status for row in rows} == shown
    assert set(shown.values()) == set(Status)


@pytest.mark.slow
def test_each_status_is_found_by_its_filter(every_combination):
    annotated = annotate_status(every_combination, at=NOW)
    expected = {
        status: set(annotated.filter(Q(("shown_status", status))).values_list("pk", flat=True))
        for status in Status
    }
    found = {
        status: set(with_status(every_combination, status, at=NOW).values_list("pk", flat=True))
        for status in Status
    }
    assert found == expected


@pytest.mark.slow
def test_the_others_have_the_status_of_a_few_columns_alone(every_combination):
    own = with_own_status(every_combination, at=NOW)
    others = annotate_status(every_combination, at=NOW).exclude(pk__in=own.values("pk"))
    columns = ["state", "is_disabled", "cause", "verified_at", "shown_status"]
    found = set(others.values_list(*columns))
    plain = {
        (state, is_disabled, cause, verified_at): meaning_of(
            Facts(
                state=state,
                is_disabled=is_disabled,
                cause=cause,
                is_verified=verified_at is not None,
            )
        ).status
        for state, is_disabled, cause, verified_at, _ in found
    }
    assert found == {(*key, status) for key, status in plain.items()}


@pytest.mark.slow
def test_the_counts_are_those_of_the_rows(every_combination):
    # The clock that count_statuses() reads: this module may have been imported half an hour ago.
    now = timezone.now()
    annotated = annotate_status(every_combination, at=now).values_list(*["shown_status"])
    assert count_statuses(every_combination) == Counter(status for (status,) in annotated)


def test_a_token_that_ends_soon_and_cannot_be_renewed_is_the_account_owners(db):
    instance = make_instance()
    instance.accept_move(state=State.CONNECTED)
    instance.has_refresh_token, instance.tokens = False, {"access_token": "a"}
    instance.expires_at = timezone.now() + timedelta(days=1)
    explanation = explain(instance)
    assert explanation.cause == "Its access token ends soon and cannot be renewed."
    assert explanation.who == "Account owner must act."
    instance.expires_at = timezone.now() + timedelta(days=30)
    assert explain(instance) is None
