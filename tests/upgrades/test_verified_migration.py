"""Only instances that exchanged something are verified after the upgrade."""

from importlib import import_module

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from instances.models import Instance
from tests.conftest import shipped
from tests.support.factories import make_instance, make_organization, make_organization_user

pytestmark = pytest.mark.django_db

MODULE = import_module("instances.migrations.0030_fill_verified_at")
OAUTH = {
    "authentication_type": "oauth2",
    "configuration": {
        "oauth.api.key": "client",
        "oauth.api.secret": "client-secret",
        "oauth.callback.url": "https://app.example/callback",
        "dynamics.tenant": "yourcompanyname.crm.dynamics.com",
    },
}


@pytest.fixture
def fill(monkeypatch):
    """Runs it on the columns of today, as migrations see the models, two rows at a time."""
    monkeypatch.setattr(MODULE, "BATCH_ROWS", 2)
    models = MigrationLoader(connection).project_state().apps
    return lambda: MODULE.fill(models, connection.schema_editor())


def times_after(fill, instance, **columns):
    """Whether it is verified, and whether it was checked and has succeeded, after the upgrade."""
    now = timezone.now()
    rows = Instance.objects.filter(pk=instance.pk)
    rows.update(last_checked_at=now, last_succeeded_at=now, **columns)
    fill()
    row = rows.get()
    assert row.verified_at == row.last_succeeded_at
    assert row.last_checked_at == row.last_succeeded_at
    return row.verified_at is not None


def test_a_key_that_was_never_sent_is_unverified(fill):
    assert [times_after(fill, make_instance()) for _ in range(5)] == [False] * 5


def test_a_grant_is_verified(fill):
    assert times_after(fill, make_instance(element=shipped("dynamicscrmadfs"), **OAUTH))


@pytest.mark.parametrize(("version", "is_verified"), [(1, False), (2, True)])
def test_imported_tokens_are_verified_once_they_were_refreshed(fill, version, is_verified):
    instance = make_instance(element=shipped("dynamicscrmadfs"), **OAUTH)
    columns = {"external_authentication": "initial", "tokens_version": version}
    assert times_after(fill, instance, **columns) == is_verified


def test_an_instance_of_a_remote_platform_is_verified(fill):
    organization = make_organization(platform_url="https://platform.example")
    user = make_organization_user(organization=organization)
    assert times_after(fill, make_instance(organization_user=user))
