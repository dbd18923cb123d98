"""What an element's file says of refresh tokens decides what is shown, repeated and explained."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from instances.errors import AnswerLostError, GrantRejectedError
from instances.models import Instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from tests.support.connected import make_connected


def state(element, **facts):
    """Change what the element's file says of its first way of authentication."""
    element.definition["authentication"][0] |= facts
    element.save()


def refresh(instance):
    return refresh_instance(Instance.objects.get(pk=instance.pk), actor="test")


@pytest.fixture
def granted(db, provider):
    return make_connected(provider)


def test_the_end_of_the_refresh_token_is_stored_and_shown(granted, admin_client):
    assert Instance.objects.get().refresh_token_expires_at is None
    state(granted.element, refresh_token_idle_days=60)
    refresh(granted)
    ends = Instance.objects.get().refresh_token_expires_at
    assert ends - timezone.now() > timedelta(days=59)
    page = admin_client.get(reverse("admin:instances_instance_change", args=[granted.pk]))
    assert "Refresh token ends if unused" in page.text


def test_a_lost_response_is_repeated_while_the_old_refresh_token_works(provider, granted):
    state(granted.element, refresh_token_rotation="rotating", refresh_token_grace_seconds=60)
    provider.mode = "cut after"
    with pytest.raises(AnswerLostError):
        refresh(granted)
    assert Instance.objects.get().refresh_due_at < timezone.now() + timedelta(seconds=31)


def test_a_refresh_token_that_is_never_replaced_was_revoked_and_not_lost(provider, granted):
    state(granted.element, refresh_token_rotation="none")
    Instance.objects.update(refresh_started_at=timezone.now())
    provider.refresh_tokens.clear()
    with pytest.raises(GrantRejectedError, match="rejected the refresh token"):
        refresh(granted)
    assert Instance.objects.get().cause == "grant_rejected"
