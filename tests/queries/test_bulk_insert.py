"""Narrow rows are inserted as values, and read back as if the ORM had stored them."""

from datetime import UTC, datetime

import pytest

from instances.models import StateChange, Tag
from instances.queries import bulk_insert
from instances.queries.bulk_insert import insert_rows
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
