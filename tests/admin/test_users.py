"""Users in the admin: deactivated when they leave, and never deleted while they authorized an instance."""

import pytest
from django.contrib.auth.models import User
from django.db.models import ProtectedError
from django.urls import reverse
from django.utils import timezone

from instances.models import Authorization, Instance
from tests.support.factories import make_instance, make_member, make_organization_user, make_user

pytestmark = pytest.mark.django_db


def make_authorization(instance, user):
    """Create a completed authorization that the user started."""
    return Authorization.objects.create(
        instance=instance,
        started_by=user,
        state_digest="s" * 64,
        browser_digest="b" * 64,
        expires_at=timezone.now(),
        used_at=timezone.now(),
        outcome="completed",
    )


def test_a_user_who_authorized_an_instance_is_never_deleted(operator):
    leaver = make_user("mina")
    make_authorization(make_instance(), leaver)
    operator.post(reverse("admin:auth_user_delete", args=[leaver.pk]), {"post": "yes"})
    with pytest.raises(ProtectedError):
        leaver.delete()
    assert Authorization.objects.get().started_by == leaver


@pytest.fixture
def owner():
    return make_organization_user(user=make_user("leaver"))


@pytest.fixture
def colleague(owner):
    return make_organization_user(organization=owner.organization)


@pytest.fixture
def instances(owner):
    return [make_instance(organization_user=owner, name=f"Shop {number}") for number in (1, 2)]


def close(browser, user):
    form = browser.get(reverse("admin:auth_user_change", args=[user.pk])).context["adminform"].form
    kept = {name: value for name, value in form.initial.items() if value is not None}
    kept |= {
        "groups": [],
        "user_permissions": [],
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
    }
    kept.pop("is_active")
    return browser.post(
        reverse("admin:auth_user_change", args=[user.pk]), kept | {"_continue": "1"}, follow=True
    )


def hand_over(browser, owner, to, *instances, why="She left"):
    chosen = {"to": to.pk, "why": why, "instance": [one.pk for one in instances]}
    url = reverse("admin:instances_organizationuser_handover", args=[owner.pk])
    return browser.post(url, chosen, follow=True)


def test_deactivating_a_user_leads_to_their_connections(operator, owner, instances):
    page = close(operator, owner.user)
    url = reverse("admin:auth_user_connections", args=[owner.user_id])
    assert not User.objects.get(pk=owner.user_id).is_active
    assert "leaver still owns connections." in page.text
    assert url in page.text
    listed = operator.get(url).text
    assert "2 connections" in listed
    assert reverse("admin:instances_organizationuser_handover", args=[owner.pk]) in listed


@pytest.mark.parametrize("is_from_list", [False, True])
def test_removing_a_membership_leads_there_too(operator, owner, instances, is_from_list):
    membership = make_member(owner.user, owner.organization)
    chosen = {"action": "delete_selected", "_selected_action": [membership.pk], "post": "yes"}
    url = reverse("admin:instances_membership_changelist")
    if not is_from_list:
        url = reverse("admin:instances_membership_delete", args=[membership.pk])
    page = operator.post(url, chosen, follow=True)
    assert not owner.user.memberships.exists()
    assert "leaver still owns connections." in page.text


def test_instances_that_the_user_authorized_are_listed_too(operator, owner):
    elsewhere = make_instance(name="Allowed elsewhere")
    make_authorization(elsewhere, owner.user)
    page = operator.get(reverse("admin:auth_user_connections", args=[owner.user_id]))
    assert "Allowed elsewhere" in page.text


def test_all_are_handed_over_at_once_and_keep_id_and_state(operator, owner, colleague, instances):
    before = [(one.pk, one.uid, one.state) for one in instances]
    page = operator.get(reverse("admin:instances_organizationuser_handover", args=[owner.pk])).text
    assert page.count('name="instance"') == 2
    assert (
        f"2 connections now belong to {colleague}."
        in hand_over(operator, owner, colleague, *instances).text
    )
    after = Instance.objects.order_by("pk")
    assert [(one.pk, one.uid, one.state) for one in after] == before
    assert {one.organization_user for one in after} == {colleague}
    change = after[0].state_changes.first()
    assert (change.actor, change.reason) == (
        "operator",
        f"Handed over from {owner.email} to {colleague.email}: She left",
    )


def test_a_reason_and_an_active_user_of_the_organization_are_needed(
    operator, owner, colleague, instances
):
    stranger, leaver = (
        make_organization_user(),
        make_organization_user(organization=owner.organization),
    )
    leaver.user = make_user("gone", is_active=False)
    leaver.save()
    for to, why in ((colleague, " "), (stranger, "x"), (leaver, "x"), (owner, "x")):
        hand_over(operator, owner, to, *instances, why=why)
    assert {one.organization_user for one in Instance.objects.all()} == {owner}


def test_only_selected_connections_are_handed_over(operator, owner, colleague, instances):
    hand_over(operator, owner, colleague, instances[0])
    assert owner.instances.get() == instances[1]
    assert "none were handed over" in hand_over(operator, owner, colleague).text


def test_another_users_instance_is_not_handed_over(operator, owner, colleague):
    other = make_instance()
    hand_over(operator, owner, colleague, other)
    other.refresh_from_db()
    assert other.organization_user != colleague


@pytest.mark.parametrize(
    ("group", "of_it", "expected"),
    [
        ("operator", True, 200),
        ("viewer", True, 403),
        ("operator", False, 404),
        ("staff", False, 404),
    ],
)
def test_only_operators_of_the_organization_hand_over(
    person, owner, colleague, instances, group, of_it, expected
):
    organization = owner.organization if of_it else make_organization_user().organization
    somebody = person(group, of=None if group == "staff" else organization)
    User.objects.filter(pk=somebody.user.pk).update(is_staff=True)
    url = reverse("admin:instances_organizationuser_handover", args=[owner.pk])
    assert somebody.browser.get(url).status_code == expected
    answer = hand_over(somebody.browser, owner, colleague, *instances)
    assert answer.status_code == expected
    moved = colleague.instances.count()
    assert moved == (2 if expected == 200 else 0)


def test_an_operator_of_another_organization_sees_nothing_of_a_leavers_connections(
    person, owner, instances
):
    make_authorization(instances[0], owner.user)
    somebody = person("operator", of=make_organization_user().organization)
    User.objects.filter(pk=somebody.user.pk).update(is_staff=True)
    page = somebody.browser.get(reverse("admin:auth_user_connections", args=[owner.user_id]))
    assert page.status_code == 404
    assert "leaver" not in page.text


def test_an_operator_sees_only_their_organizations_part_of_a_shared_users_connections(
    person, owner, instances
):
    shared = make_organization_user(user=owner.user)
    make_instance(organization_user=shared, name="Shop of both")
    somebody = person("operator", of=shared.organization)
    User.objects.filter(pk=somebody.user.pk).update(is_staff=True)
    page = somebody.browser.get(reverse("admin:auth_user_connections", args=[owner.user_id]))
    assert shared.email in page.text
    assert "Shop 1" not in page.text
    assert owner.email not in page.text
