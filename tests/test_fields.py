import json
import pickle

import pytest
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection, transaction
from django.forms import modelform_factory
from django.template import Context, Template

from instances.crypto import sealing
from instances.errors import UnreadableSecretError
from instances.models import Instance, Organization
from tests.support.factories import make_instance, make_organization

pytestmark = pytest.mark.django_db

SECRET = "0rganization-s3cret"


@pytest.fixture
def organization():
    return make_organization(secret=SECRET)


def stored(row, column):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {row._meta.db_table} WHERE id = %s", [row.pk])  # noqa: S608
        return cursor.fetchone()[0]


def test_a_secret_is_stored_encrypted_and_revealed_only_on_request(organization):
    assert SECRET not in stored(organization, "secret")
    assert Organization.objects.get().secret.reveal() == SECRET


def test_a_secret_is_opaque_everywhere(organization):
    sealed = Organization.objects.get().secret
    assert str(sealed) == "••••"
    shown = [
        repr(sealed),
        f"{sealed}",
        json.dumps({"secret": sealed}, default=str),
        Template("{{ row.secret }}").render(Context({"row": organization})),
        str(pickle.loads(pickle.dumps(sealed))),  # noqa: S301  our own bytes
        str(vars(organization)),
        serializers.serialize("json", [organization]),
    ]
    assert all(SECRET not in text for text in shown)
    assert SECRET.encode() not in pickle.dumps(organization)


def test_an_empty_secret_is_falsy_and_shows_nothing():
    instance = make_instance()
    assert not instance.token
    assert str(instance.token) == ""
    assert instance.tokens.reveal() == {}


def test_a_secret_is_found_by_its_exact_value_and_by_nothing_less(organization):
    assert Organization.objects.get(secret_digest__in=sealing.digests(SECRET)) == organization
    assert not Organization.objects.filter(secret_digest__in=sealing.digests(SECRET[:-1])).exists()
    with pytest.raises(FieldError, match="by its digest"):
        Organization.objects.filter(secret=SECRET)


def test_a_ciphertext_copied_to_another_row_is_unreadable_and_the_row_still_loads(organization):
    other = make_organization()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE instances_organization SET secret = %s WHERE id = %s",
            [stored(organization, "secret"), other.pk],
        )
    moved = Organization.objects.get(pk=other.pk)
    assert moved.name == other.name
    assert not moved.secret.is_readable
    with pytest.raises(UnreadableSecretError):
        moved.secret.reveal()


@pytest.mark.parametrize(
    ("source", "target"), [("secret_configuration", "tokens"), ("tokens", "token")]
)
def test_a_ciphertext_copied_to_another_field_of_its_row_is_unreadable(source, target):
    instance = make_instance()
    instance.tokens = {"access_token": "acc3ss"}
    instance.save()
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE instances_instance SET {target} = {source} WHERE id = %s",  # noqa: S608
            [instance.pk],
        )
    row = Instance.objects.get()
    assert getattr(row, source).is_readable
    with pytest.raises(UnreadableSecretError):
        getattr(row, target).reveal()


def test_lists_and_saves_of_other_columns_never_decrypt(organization, settings):
    settings.ENCRYPTION_KEYS = [sealing.generate_key()]
    row = Organization.objects.get()
    row.name = "Renamed"
    row.save()
    row.refresh_from_db()
    assert [str(one.secret) for one in Organization.objects.all()] == ["••••"]


def test_a_secret_is_encrypted_for_its_row_or_not_at_all(organization):
    with pytest.raises(TypeError, match="assign it on a row"), transaction.atomic():
        Organization.objects.update(secret="plain")
    with pytest.raises(TypeError, match="bound to another row"):
        make_organization().secret = organization.secret
    assert Organization.objects.get(pk=organization.pk).secret.reveal() == SECRET


def test_saving_twice_keeps_the_secret(organization):
    organization.save()
    row = Organization.objects.defer("secret").get()
    row.save()
    assert Organization.objects.get().secret.reveal() == SECRET


def test_emptying_a_secret_empties_its_digest():
    instance = make_instance()
    instance.token = "t0ken-of-the-instance"
    instance.save()
    assert Instance.objects.with_token("t0ken-of-the-instance").get() == instance
    instance.token = ""
    instance.save()
    assert Instance.objects.get().token_digest is None


def test_a_form_never_holds_a_secret():
    form = modelform_factory(Organization, fields=["name"])
    assert "secret" not in form.base_fields


def test_a_json_secret_comes_back_as_it_was():
    instance = make_instance()
    assert instance.secret_configuration.reveal() == {"api.key": "k3y-of-the-account"}
    assert instance.configuration == {"site": "acme"}
