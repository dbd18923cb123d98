import threading

import pytest
from django.db import IntegrityError, connection, transaction

from instances.fields import SealedTextField
from instances.models import Instance, StateChange, Tag
from instances.queries.prepared import Param, PreparedQuery, insert_row_with
from tests.support.factories import make_instance

pytestmark = pytest.mark.django_db


def test_a_statement_finds_what_its_queryset_finds():
    first, second = make_instance(name="First"), make_instance(name="Second")
    rows = Instance.objects.select_related("element").order_by("pk")
    by_name = PreparedQuery(rows.filter(name__in=Param.each("names", 2)))
    by_state = PreparedQuery(rows.filter(state="draft", pk=Param("pk")))
    assert by_name.rows(names=["First", "Second"]) == [first, second]
    assert by_name.rows(names=["Second", "None"]) == [second]
    assert by_name.rows(names=["None", "Nobody"]) == []
    assert (by_state.first(pk=first.pk), by_state.first(pk=0)) == (first, None)


def test_a_row_is_whole_and_may_be_changed():
    instance = make_instance(configuration={"api.key": "k3y", "site": "acme"})
    found = PreparedQuery(Instance.objects.filter(pk=Param("pk"))).first(pk=instance.pk)
    same = Instance.objects.get()
    for field in Instance._meta.concrete_fields:
        assert getattr(found, field.attname) == getattr(same, field.attname), field.name
    assert found.full_configuration()["api.key"] == "k3y"
    found.name = "Changed"
    found.save()
    assert Instance.objects.get().name == "Changed"


@pytest.mark.django_db(transaction=True)
def test_threads_do_not_disturb_each_other():
    instances = [make_instance(name=f"{number}") for number in range(4)]
    statement = PreparedQuery(Instance.objects.filter(pk=Param("pk")))
    wrong = []

    def read(instance):
        try:
            for _ in range(50):
                found = statement.first(pk=instance.pk)
                if found is None or found.name != instance.name:
                    wrong.append((instance, found))
        finally:
            connection.close()

    threads = [threading.Thread(target=read, args=[one]) for one in instances]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("count", [0, 1, 2, 8, 9])
def test_a_row_is_inserted_with_its_dependents_as_the_orm_inserts_it(count):
    instance = _copy_of(make_instance())
    tags = [Tag(instance=instance, name=f"acme {number}") for number in range(count)]
    insert_row_with(instance, [_entry(instance, "ä\"'%s"), *tags])
    stored = Instance.objects.get(pk=instance.pk)
    for field in Instance._meta.concrete_fields:
        if not isinstance(field, SealedTextField):
            kept, given = getattr(stored, field.attname), getattr(instance, field.attname)
            assert kept == given, field.name
    assert stored.full_configuration() == {"api.key": "k3y", "site": "acme"}
    assert [change.reason for change in stored.state_changes.all()] == ["ä\"'%s"]
    assert stored.tag_names == [tag.name for tag in tags]


@pytest.mark.parametrize("count", [2, 9])
def test_nothing_is_inserted_where_a_dependent_is_refused(count):
    other = make_instance()
    instance = _copy_of(other)
    twice = [Tag(instance=instance, name="acme") for _ in range(count)]
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_row_with(instance, [_entry(instance, "Created."), *twice])
    assert Instance.objects.get() == other
    assert Tag.objects.filter(name="acme").count() == 0


def _copy_of(instance):
    copy = Instance(
        organization_user=instance.organization_user,
        element=instance.element,
        name="Copy",
        authentication_type=instance.authentication_type,
        configuration={"site": "acme"},
    )
    copy.secret_configuration = {"api.key": "k3y"}
    return copy


def _entry(instance, reason):
    return StateChange(
        instance=instance, from_state="", to_state="draft", actor="test", reason=reason
    )
