"""Claims of one authorization link by two browsers at the same time."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from instances.models import AuthorizationLink
from tests.support.factories import make_instance, make_user


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite lets one write at a time")
def test_of_two_claims_at_once_one_succeeds():
    link = AuthorizationLink.objects.create(
        instance=make_instance(),
        made_by=make_user("mina", is_superuser=True),
        token_digest="digest",
        expires_at=timezone.now() + timedelta(days=1),
    )
    outcomes = []

    def claim(browser):
        objects = AuthorizationLink.objects
        outcomes.append(objects.claim(link, browser_digest=browser, at=timezone.now()))

    def claim_and_hang_up():
        try:
            claim("second")
        finally:
            connection.close()

    other = threading.Thread(target=claim_and_hang_up)
    with transaction.atomic():
        claim("first")
        other.start()
        # The second claim waits for the row that the first one holds.
        other.join(timeout=0.5)
        assert outcomes == [True]
    other.join(timeout=10)
    assert outcomes == [True, False]
    assert AuthorizationLink.objects.get().browser_digest == "first"
