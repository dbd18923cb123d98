"""Deleting a user: what an audit needs is kept, or the user cannot be deleted."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import ProtectedError
from django.urls import reverse
from django.utils import timezone

from instances.models import (
    Authorization,
    AuthorizationLink,
    BulkJob,
    Interaction,
    Membership,
    OrganizationUser,
    StateChange,
)
from tests.support.factories import (
    make_instance,
    make_interaction,
    make_member,
    make_organization_user,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def leaver():
    return make_user("mina")


def make_authorization(user):
    return Authorization.objects.create(
        instance=make_instance(),
        started_by=user,
        state_digest="s" * 64,
        browser_digest="b" * 64,
        expires_at=timezone.now(),
        used_at=timezone.now(),
        outcome="completed",
    )


def make_link(user):
    return AuthorizationLink.objects.create(
        instance=make_instance(),
        made_by=user,
        token_digest="t" * 64,
        expires_at=timezone.now() + timedelta(days=1),
    )


def make_log_entry(user):
    return LogEntry.objects.create(
        user=user, object_repr="Acme", action_flag=2, change_message="Rotated the secret."
    )


@pytest.mark.parametrize("make", [make_authorization, make_link, make_log_entry])
@pytest.mark.parametrize("is_bulk", [False, True], ids=["one", "queryset"])
def test_rows_that_refer_to_a_user_keep_the_user_from_being_deleted(leaver, make, is_bulk):
    trace = make(leaver)
    with pytest.raises(ProtectedError), transaction.atomic():
        (User.objects.filter(pk=leaver.pk) if is_bulk else leaver).delete()
    assert User.objects.filter(pk=leaver.pk).exists()
    assert type(trace).objects.filter(pk=trace.pk).exists()


@pytest.mark.parametrize("make", [make_authorization, make_link, make_log_entry])
def test_the_admin_says_why_a_user_cannot_be_deleted_and_deletes_nothing(operator, leaver, make):
    trace = make(leaver)
    url = reverse("admin:auth_user_delete", args=[leaver.pk])
    asked = operator.get(url).context
    assert asked["protected"] or asked["perms_lacking"]
    assert operator.post(url, {"post": "yes"}).status_code == 200
    chosen = {"action": "delete_selected", "_selected_action": leaver.pk, "post": "yes"}
    operator.post(reverse("admin:auth_user_changelist"), chosen)
    assert User.objects.filter(pk=leaver.pk).exists()
    assert type(trace).objects.filter(pk=trace.pk).exists()


def test_records_that_contain_a_username_are_kept_when_the_user_is_deleted(leaver):
    owner = make_organization_user(user=leaver)
    make_member(leaver, owner.organization, "operator")
    instance = make_instance(organization_user=owner)
    StateChange.objects.create(
        instance=instance, from_state="", to_state="draft", actor="mina", reason="Made."
    )
    make_interaction(instance=instance, actor="mina")
    BulkJob.objects.create(organization_user=owner, actor="mina")
    leaver.delete()
    for model in (StateChange, Interaction, BulkJob):
        assert model.objects.filter(actor="mina").count() == 1
    assert OrganizationUser.objects.get(pk=owner.pk).user is None
    assert not Membership.objects.exists()
