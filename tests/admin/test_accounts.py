"""Accounts in the admin: closed when somebody leaves, and never forgotten where they allowed access."""

import pytest
from django.db.models import ProtectedError
from django.urls import reverse
from django.utils import timezone

from instances.models import Authorization
from tests.factories import make_account, make_instance

pytestmark = pytest.mark.django_db


def test_who_allowed_access_is_never_deleted(operator):
    leaver = make_account("mina")
    Authorization.objects.create(
        instance=make_instance(),
        started_by=leaver,
        state_digest="s" * 64,
        browser_digest="b" * 64,
        expires_at=timezone.now(),
        used_at=timezone.now(),
        outcome="completed",
    )
    operator.post(reverse("admin:auth_user_delete", args=[leaver.pk]), {"post": "yes"})
    with pytest.raises(ProtectedError):
        leaver.delete()
    assert Authorization.objects.get().started_by == leaver
