"""Narrow rows are inserted as values, and read back as if the ORM had stored them."""

from datetime import UTC, datetime

import pytest

from instances.models import Instance, Interaction, StateChange, Tag
from instances.queries import bulk_insert
from instances.queries.bulk_insert import insert_new, insert_rows
from tests.support.factories import make_instance

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
NAMES = ["at", "instance", "from_state", "to_state", "actor", "reason"]


def test_rows_are_stored_as_they_are_given():
    first, second = make_instance(), make_instance()
    StateChange.objects.all().delete()
    rows = [
        (AT, first.pk, "", "draft", "ada@example.com", "It's “quoted”, 100 %s"),
        (AT, second.pk, "draft", "failed", "ada@example.com", ""),
    ]
    insert_rows(StateChange, NAMES, rows)
    stored = StateChange.objects.order_by("pk").values_list(*NAMES)
    assert list(stored) == rows
    assert second.state_changes.get().to_state == "failed"


@pytest.mark.parametrize("limit", [4, 5, 30_000])
def test_any_number_of_rows_is_stored_once(monkeypatch, django_assert_num_queries, limit):
    monkeypatch.setattr(bulk_insert, "_MAX_PARAMETERS", limit)
    instance = make_instance()
    names = [f"tag {number}" for number in range(5)]
    instance.tags.all().delete()
    with django_assert_num_queries(1 if limit > 5 else 3):
        insert_rows(Tag, ["instance", "name"], [(instance.pk, name) for name in names])
    assert list(instance.tags.values_list("name", flat=True)) == names
    with django_assert_num_queries(0):
        insert_rows(Tag, ["instance", "name"], [])


def test_new_rows_are_stored_as_the_orm_stores_them():
    instance = make_instance()
    some = {"instance": instance, "subject": "Acme", "direction": "out", "started_at": AT}
    rows = [
        Interaction(**some, request_headers={}, status=None),
        Interaction(**some, request_headers={"Accept": "100 %s “x”"}, status=200),
    ]
    insert_new(rows)
    Interaction.objects.bulk_create(rows)
    names = [field.attname for field in Interaction._meta.fields if not field.primary_key]
    first, second, *others = Interaction.objects.order_by("pk").values(*names)
    assert [first, second] == others
    assert first["request_headers"] == {}


@pytest.mark.parametrize("limit", [60, 30_000])
def test_new_rows_get_their_own_primary_keys(monkeypatch, limit):
    monkeypatch.setattr(bulk_insert, "_MAX_PARAMETERS", limit)
    like = make_instance()
    rows = [
        Instance(name=name, organization_user=like.organization_user, element=like.element)
        for name in ("one", "two", "three")
    ]
    rows[1].secret_configuration = {"password": "p4ss"}
    insert_new(rows, unique="uid")
    stored = Instance.objects.in_bulk([row.pk for row in rows])
    assert [stored[row.pk].name for row in rows] == ["one", "two", "three"]
    assert stored[rows[1].pk].secret_configuration.reveal() == {"password": "p4ss"}
