import threading

import pytest
from django.db import IntegrityError, connection

from instances.models import Instance, Organization, Tag
from instances.models.statements import Argument, Statement, insert_rows
from tests.factories import make_instance

pytestmark = pytest.mark.django_db


def test_a_statement_finds_what_its_queryset_finds():
    first, second = make_instance(name="First"), make_instance(name="Second")
    rows = Instance.objects.select_related("element").order_by("pk")
    by_name = Statement(rows.filter(name__in=Argument.each("names", 2)))
    by_state = Statement(rows.filter(state="draft", pk=Argument("pk")))
    assert by_name.rows(names=["First", "Second"]) == [first, second]
    assert by_name.rows(names=["Second", "None"]) == [second]
    assert by_name.rows(names=["None", "Nobody"]) == []
    assert (by_state.first(pk=first.pk), by_state.first(pk=0)) == (first, None)


def test_a_row_is_whole_and_may_be_changed():
    instance = make_instance(configuration={"api.key": "k3y", "site": "acme"})
    found = Statement(Instance.objects.filter(pk=Argument("pk"))).first(pk=instance.pk)
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
    statement = Statement(Instance.objects.filter(pk=Argument("pk")))
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


@pytest.mark.parametrize("count", [0, 1, 3])
def test_rows_are_inserted_as_the_orm_inserts_them(count):
    organizations = [Organization(name=f"Acme {number}") for number in range(count)]
    for one in organizations:
        one.secret, one.endpoint_overrides = "s3cret", {"keyed": {"a": "ä\"'"}}
        one.secret_digest = f"digest of {one.name}"
    insert_rows(organizations)
    stored = list(Organization.objects.order_by("pk"))
    assert stored == organizations
    for row, kept in zip(organizations, stored, strict=True):
        assert row.secret == kept.secret
        assert kept.secret.reveal() == "s3cret"
        assert (kept.name, kept.created_at, kept.endpoint_overrides) == (
            row.name,
            row.created_at,
            row.endpoint_overrides,
        )
        row.name += " renamed"
        row.save(force_update=True)


def test_a_row_that_is_there_already_is_refused():
    instance = make_instance(tags=["acme"])
    with pytest.raises(IntegrityError):
        insert_rows([Tag(instance=instance, name="acme")])
