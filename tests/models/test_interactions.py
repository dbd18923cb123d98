from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from instances.models import Interaction
from tests.support.factories import make_instance

pytestmark = pytest.mark.django_db


def make_interaction(**fields):
    return Interaction.objects.create(
        **{
            "subject": "Acme",
            "operation": "probe",
            "direction": "out",
            "method": "GET",
            "url": "https://acme.example/",
            "started_at": timezone.now(),
        }
        | fields
    )


def test_an_interaction_cannot_be_changed_or_deleted():
    interaction = make_interaction()
    interaction.url = "https://other.example/"
    for attempt in (
        interaction.save,
        interaction.delete,
        Interaction.objects.all().delete,
        lambda: Interaction.objects.update(url=""),
        lambda: Interaction.objects.bulk_update([interaction], ["url"]),
    ):
        with pytest.raises(TypeError, match="append-only"):
            attempt()
    assert Interaction.objects.get().url == "https://acme.example/"


def test_pruning_removes_what_is_older_and_nothing_else():
    now = timezone.now()
    make_interaction(started_at=now - timedelta(days=90))
    young = make_interaction(started_at=now)
    assert Interaction.objects.prune(before=now - timedelta(days=30)) == 1
    assert Interaction.objects.get() == young


def test_the_history_of_a_deleted_instance_stays_and_names_it():
    instance = make_instance(name="Acme")
    make_interaction(instance=instance, subject=instance.label)
    instance.delete()
    kept = Interaction.objects.get()
    assert kept.instance is None
    assert kept.subject.startswith("Acme (keyed, ")


def test_the_database_refuses_an_unknown_direction():
    with pytest.raises(IntegrityError), transaction.atomic():
        make_interaction(direction="up")
