"""Accounts that were known before instances could be found by them."""

from importlib import import_module

import pytest
from django.apps import apps

from instances.models import AccountPart, Instance
from instances.models.accounts import account_digest
from tests.support.factories import make_instance


@pytest.mark.django_db
def test_known_accounts_can_be_found_after_the_migration(monkeypatch):
    migration = import_module("instances.migrations.0051_accounts_are_found")
    monkeypatch.setattr(migration, "BATCH", 2)
    account = {"UserId": "u1", "OrganizationId": "o1"}
    rows = [make_instance(name=f"Row {number}") for number in range(5)]
    Instance.objects.exclude(pk=rows[3].pk).update(account_identity=account)
    # It may be interrupted, and repeated.
    for _ in range(2):
        migration.find_known_accounts(apps, None)
    digest = account_digest(rows[0].element_id, account)
    found = Instance.objects.of_account(digest).order_by("pk")
    assert [one.name for one in found] == ["Row 0", "Row 1", "Row 2", "Row 4"]
    assert AccountPart.objects.filter(value="u1").count() == 4
    assert rows[3].account_parts.count() == 0
