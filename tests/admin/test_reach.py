"""Operators see the users of their own organizations in the admin, and no other user's name anywhere."""

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django.utils import timezone

from instances.models import Authorization, Membership, OrganizationUser
from tests.support.factories import (
    make_element,
    make_instance,
    make_member,
    make_organization,
    make_organization_user,
    make_user,
)

pytestmark = pytest.mark.django_db

STRANGERS = ("zora-tied", "zora-member", "zora-alone")


@pytest.fixture
def acme():
    return make_organization(name="Acme")


@pytest.fixture
def colleagues(acme):
    """Three users of Acme: one assigned to an organization user, one viewer, and one who left."""
    tied, member, gone = (make_user(f"colleague-{name}") for name in ("tied", "member", "gone"))
    make_organization_user(organization=acme, user=tied)
    make_member(member, acme, Membership.Role.VIEWER)
    gone.is_active = False
    gone.save()
    make_organization_user(organization=acme, user=gone)
    return [tied, member, gone]


@pytest.fixture
def strangers():
    """One assigned to an organization user elsewhere, one a member elsewhere, and one without an organization."""
    tied, member, alone = (make_user(name) for name in STRANGERS)
    elsewhere = make_organization(name="Elsewhere")
    make_organization_user(organization=elsewhere, user=tied, email="zora@elsewhere.example")
    make_member(member, elsewhere)
    return [tied, member, alone]


@pytest.fixture
def somebody(person, acme):
    """An operator of Acme with every permission of Django."""
    somebody = person("operator", of=acme, name="somebody")
    User.objects.filter(pk=somebody.user.pk).update(is_staff=True)
    everything = Permission.objects.exclude(codename__startswith="reveal")
    somebody.user.user_permissions.set(everything)
    return somebody


@pytest.fixture
def row_of(acme):
    return make_organization_user(organization=acme)


def names_no_stranger(text):
    return [name for name in (*STRANGERS, "elsewhere.example", "Elsewhere") if name in text] == []


def test_the_list_of_users_has_their_colleagues(somebody, colleagues, strangers):
    page = somebody.browser.get(reverse("admin:auth_user_changelist")).text
    assert all(colleague.username in page for colleague in (*colleagues, somebody.user))
    assert names_no_stranger(page)
    found = somebody.browser.get(reverse("admin:auth_user_changelist"), {"q": "zora"})
    assert names_no_stranger(found.text)


def test_a_superuser_sees_all(operator, colleagues, strangers):
    page = operator.get(reverse("admin:auth_user_changelist")).text
    assert all(user.username in page for user in (*colleagues, *strangers))


def test_without_an_organization_users_see_only_themselves(person, colleagues, strangers):
    nobody = person("operator", name="loner")
    User.objects.filter(pk=nobody.user.pk).update(is_staff=True)
    page = nobody.browser.get(reverse("admin:auth_user_changelist")).text
    assert "loner" in page
    assert "colleague-" not in page
    assert names_no_stranger(page)


@pytest.mark.parametrize("page", ["change", "delete", "history", "connections", "password_change"])
def test_the_pages_of_a_stranger_are_not_found(somebody, strangers, page):
    name = f"admin:auth_user_{page}"
    for stranger in strangers:
        answer = somebody.browser.get(reverse(name, args=[stranger.pk]), follow=True)
        assert names_no_stranger(answer.text)
        sent = {"post": "yes", "password1": "n3w-and-long", "password2": "n3w-and-long"}
        answer = somebody.browser.post(reverse(name, args=[stranger.pk]), sent, follow=True)
        assert names_no_stranger(answer.text)
    for stranger in strangers:
        assert User.objects.get(pk=stranger.pk).check_password("correct-horse")


def test_strangers_cannot_be_deleted_from_the_list(somebody, strangers):
    chosen = {"action": "delete_selected", "_selected_action": [one.pk for one in strangers]}
    url = reverse("admin:auth_user_changelist")
    assert names_no_stranger(somebody.browser.post(url, chosen, follow=True).text)
    somebody.browser.post(url, chosen | {"post": "yes"})
    assert User.objects.filter(username__in=STRANGERS).count() == 3


@pytest.mark.parametrize(
    ("model", "field"),
    [("organizationuser", "user"), ("membership", "user")],
)
def test_strangers_are_not_suggested(somebody, colleagues, strangers, model, field):
    asked = {"app_label": "instances", "model_name": model, "field_name": field}
    for term in ("", "zora", "colleague"):
        answer = somebody.browser.get(reverse("admin:autocomplete"), asked | {"term": term})
        assert names_no_stranger(answer.text)
    assert "colleague-tied" in answer.text


def assign(browser, row, user, **sent):
    sent = {"email": row.email, "first_name": "", "last_name": "", "user": user.pk} | sent
    return browser.post(reverse("admin:instances_organizationuser_change", args=[row.pk]), sent)


def test_an_organization_user_is_assigned_to_colleagues_only(
    somebody, colleagues, strangers, row_of
):
    for stranger in strangers:
        answer = assign(somebody.browser, row_of, stranger)
        assert answer.status_code == 200
        assert names_no_stranger(answer.text)
        row_of.refresh_from_db()
        assert row_of.user is None
    assert assign(somebody.browser, row_of, colleagues[0]).status_code == 302
    row_of.refresh_from_db()
    assert row_of.user == colleagues[0]
    assert assign(somebody.browser, row_of, colleagues[0], first_name="Ann").status_code == 302


def test_a_superuser_assigns_anyone(operator, strangers, row_of):
    assert assign(operator, row_of, strangers[2]).status_code == 302
    row_of.refresh_from_db()
    assert row_of.user == strangers[2]


def test_memberships_of_other_organizations_are_not_found(somebody, acme, colleagues, strangers):
    page = somebody.browser.get(reverse("admin:instances_membership_changelist")).text
    assert "colleague-member" in page
    assert names_no_stranger(page)
    foreign = strangers[1].memberships.get()
    for name in ("change", "delete"):
        url = reverse(f"admin:instances_membership_{name}", args=[foreign.pk])
        somebody.browser.post(url, {"post": "yes", "role": "viewer"})
    assert Membership.objects.get(pk=foreign.pk).role == Membership.Role.OPERATOR


def test_a_membership_joins_colleagues_and_own_organizations_only(
    somebody, acme, colleagues, strangers
):
    url = reverse("admin:instances_membership_add")
    elsewhere = strangers[1].memberships.get().organization
    tied = colleagues[0]
    for user, organization in [(strangers[2], acme), (tied, elsewhere)]:
        sent = {"user": user.pk, "organization": organization.pk, "role": "operator"}
        answer = somebody.browser.post(url, sent)
        assert answer.status_code == 200
        assert names_no_stranger(answer.text)
    sent = {"user": tied.pk, "organization": acme.pk, "role": "viewer"}
    assert somebody.browser.post(url, sent).status_code == 302
    assert tied.memberships.get().organization == acme


def test_a_user_with_rows_elsewhere_is_not_deleted_and_the_rows_are_not_named(
    somebody, acme, colleagues, strangers
):
    """Deleting also deletes rows that refer to the user, in any organization. The confirmation page would name them."""
    shared = colleagues[0]
    elsewhere = strangers[1].memberships.get().organization
    make_member(shared, elsewhere)
    chosen = {"action": "delete_selected", "_selected_action": [shared.pk]}
    for url, sent in [
        (reverse("admin:auth_user_delete", args=[shared.pk]), None),
        (reverse("admin:auth_user_changelist"), chosen),
    ]:
        answer = somebody.browser.post(url, sent) if sent else somebody.browser.get(url)
        assert "rows that belong to other organizations" in answer.text
        assert names_no_stranger(answer.text)
        answer = somebody.browser.post(url, (sent or {}) | {"post": "yes"})
        assert answer.status_code in {200, 403}
        assert names_no_stranger(answer.text)
    assert User.objects.filter(pk=shared.pk).exists()


def test_a_user_who_authorized_elsewhere_is_not_deleted_and_nothing_is_named(
    somebody, colleagues, strangers
):
    """Authorizations protect their user. Django's page would name them, and so their instances."""
    Authorization.objects.create(
        instance=make_instance(name="zora-alone's shop"),
        started_by=colleagues[0],
        state_digest="s" * 64,
        browser_digest="b" * 64,
        expires_at=timezone.now(),
    )
    url = reverse("admin:auth_user_delete", args=[colleagues[0].pk])
    for answer in (somebody.browser.get(url), somebody.browser.post(url, {"post": "yes"})):
        assert names_no_stranger(answer.text)
    assert User.objects.filter(pk=colleagues[0].pk).exists()


def test_a_user_of_ones_own_organization_is_deleted(somebody, acme, colleagues):
    member = colleagues[1]
    url = reverse("admin:auth_user_delete", args=[member.pk])
    assert "colleague-member" in somebody.browser.get(url).text
    somebody.browser.post(url, {"post": "yes"})
    assert not User.objects.filter(pk=member.pk).exists()


def test_viewers_delete_nothing(somebody):
    looked_at = make_organization(name="Looked at")
    make_member(somebody.user, looked_at, Membership.Role.VIEWER)
    row = make_organization_user(organization=looked_at)
    url = reverse("admin:instances_organizationuser_delete", args=[row.pk])
    assert somebody.browser.post(url, {"post": "yes"}).status_code == 403
    assert OrganizationUser.objects.filter(pk=row.pk).exists()


def log(user, row):
    LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(row),
        object_id=str(row.pk),
        object_repr=f"{row} of zora-alone",
        action_flag=CHANGE,
        change_message="[]",
    )


def test_a_history_shows_what_was_done_without_naming_strangers(
    somebody, operator, colleagues, strangers, row_of
):
    element = make_element()
    for row, name in [
        (element, "instances_element"),
        (row_of, "instances_organizationuser"),
        (colleagues[0], "auth_user"),
    ]:
        log(strangers[0], row)
        log(colleagues[1], row)
        url = reverse(f"admin:{name}_history", args=[row.pk])
        page = somebody.browser.get(url).text
        assert names_no_stranger(page)
        assert "colleague-member" in page
        assert "zora-tied" in operator.get(url).text


def test_log_entries_of_others_are_not_named_when_a_user_is_deleted(somebody, colleagues):
    log(colleagues[1], make_organization(name="Elsewhere"))
    url = reverse("admin:auth_user_delete", args=[colleagues[1].pk])
    assert names_no_stranger(somebody.browser.get(url).text)


def test_removing_a_membership_does_not_mention_connections_elsewhere(
    somebody, colleagues, strangers
):
    elsewhere = strangers[1].memberships.get().organization
    row = make_organization_user(organization=elsewhere, user=colleagues[0])
    make_instance(organization_user=row)
    membership = make_member(colleagues[0], make_organization_of(somebody))
    url = reverse("admin:instances_membership_delete", args=[membership.pk])
    page = somebody.browser.post(url, {"post": "yes"}, follow=True)
    assert "still owns connections" not in page.text


def make_organization_of(somebody):
    return somebody.user.memberships.get().organization


def test_self_service_offers_own_organization_users_only(somebody, strangers, row_of):
    make_element()
    make_organization_user(organization=row_of.organization)
    page = somebody.browser.get("/connect/catalogue/keyed/").text
    assert row_of.email in page
    assert names_no_stranger(page)
    foreign = OrganizationUser.objects.get(email="zora@elsewhere.example")
    assert names_no_stranger(
        somebody.browser.get("/connect/catalogue/keyed/", {"owner": foreign.pk}).text
    )
