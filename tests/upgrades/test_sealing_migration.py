"""What was stored in clear before its key was secret is sealed by a migration."""

from importlib import import_module

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from instances.fields import Sealed
from instances.models import Element, Instance
from tests.support.factories import KEY_DEFINITION, make_element, make_instance

pytestmark = pytest.mark.django_db

MODULE = import_module("instances.migrations.0022_seal_secret_keys")
PLAIN = {"db.passwd": "p4sswd-of-the-account", "account.pin": "4711", "site": "acme"}


@pytest.fixture
def seal(monkeypatch):
    """Runs it on the columns of today, as migrations see the models, two rows at a time."""
    monkeypatch.setattr(MODULE, "BATCH_ROWS", 2)
    models = MigrationLoader(connection).project_state().apps
    return lambda: MODULE.seal(models, connection.schema_editor())


def stored_before(**columns):
    """An instance as a version stored it to which none of PLAIN was secret."""
    instance = make_instance()
    Instance.objects.filter(pk=instance.pk).update(configuration=PLAIN, **columns)
    return Instance.objects.get(pk=instance.pk)


def test_values_of_keys_that_are_secret_now_are_sealed(seal):
    instances = [stored_before() for _ in range(5)]
    seal()
    for before in instances:
        instance = Instance.objects.get(pk=before.pk)
        assert instance.configuration == {"site": "acme"}
        assert instance.secret_keys == sorted(instance.secret_configuration.reveal())
        expected = before.secret_configuration.reveal() | PLAIN
        assert instance.full_configuration() == expected


def test_it_can_be_run_again_and_leaves_alone_what_needs_nothing(seal):
    instance = stored_before()
    untouched = make_instance()
    seal()
    ciphertexts = list(Instance.objects.order_by("pk").values_list("configuration", "secret_keys"))
    sealed = Instance.objects.get(pk=untouched.pk).secret_configuration.ciphertext
    seal()
    assert ciphertexts == list(
        Instance.objects.order_by("pk").values_list("configuration", "secret_keys")
    )
    assert Instance.objects.get(pk=untouched.pk).secret_configuration.ciphertext == sealed
    assert Instance.objects.get(pk=instance.pk).secret_configuration


def test_an_element_that_declares_a_key_plain_keeps_it_in_clear(seal):
    instance = stored_before()
    field = {"key": "account.pin", "label": "Postal code", "not_secret_because": "It is a place."}
    ways = [KEY_DEFINITION["authentication"][0] | {"fields": [field]}]
    element = make_element(KEY_DEFINITION | {"key": "pins", "id": 900017, "authentication": ways})
    Instance.objects.filter(pk=instance.pk).update(element=element)
    seal()
    instance = Instance.objects.get(pk=instance.pk)
    assert instance.configuration == {"site": "acme", "account.pin": "4711"}


def test_an_element_whose_definition_cannot_be_read_is_judged_by_names(seal):
    instance = stored_before()
    Element.objects.filter(pk=instance.element_id).update(definition={"key": "broken"})
    seal()
    assert Instance.objects.get(pk=instance.pk).configuration == {"site": "acme"}


def test_an_instance_whose_secrets_do_not_decrypt_is_told_of_and_stops_nothing(seal, capsys):
    broken, sound = (
        stored_before(secret_configuration=Sealed("v1.0.AA", "", str, lambda: "It")),
        stored_before(),
    )
    seal()
    told = capsys.readouterr().out
    assert f"Instance {broken.pk}: its secrets do not decrypt" in told
    assert PLAIN["db.passwd"] not in told
    assert Instance.objects.get(pk=sound.pk).configuration == {"site": "acme"}
    assert Instance.objects.get(pk=broken.pk).configuration == PLAIN
