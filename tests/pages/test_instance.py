"""The page of an instance, in the admin and in self-service: what is wrong, who must act, and the right next step."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from instances.models import Instance
from tests.support.factories import (
    make_instance,
    make_member,
    make_organization_user,
    make_user,
)
from tests.support.lists import make_in_state

PAGES = {"admin": "admin:instances_instance_change", "self-service": "connection"}
REJECTED = {"cause": "credentials_rejected", "cause_message": "HTTP 401."}


def url_of(frame, instance):
    return reverse(PAGES[frame], args=[instance.pk])


@pytest.fixture(params=PAGES)
def frame(request):
    return request.param


@pytest.fixture
def owner(db):
    return make_organization_user(email="ada@example.com")


def member(person, owner, group):
    """A member of this group: staff owns the organization user, others have a role in the organization."""
    found = person(group, of=None if group == "staff" else owner.organization)
    if group == "staff":
        owner.user = found.user
        owner.save()
    found.user.is_staff = True
    found.user.save()
    return found.browser


def broken(owner, **columns):
    defaults = {"organization_user_id": owner.pk, "name": "Acme", **REJECTED}
    return make_in_state("needs_reauthorization", **(defaults | columns))


def labels(buttons):
    return [str(button.action.label) for button in buttons]


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("operator", ["Send link to account owner", "Enter credentials"]),
        ("staff", ["Enter credentials", "Send link to account owner"]),
        ("viewer", []),
    ],
)
def test_the_first_button_is_the_next_step_for_its_reader(person, owner, frame, group, expected):
    page = member(person, owner, group).get(url_of(frame, broken(owner)))
    assert "rejected the username, password or key." in page.text
    assert "Account owner must act." in page.text
    assert labels(page.context["remedies"]) == expected
    assert page.text.count("im-btn-primary") == bool(expected)


def test_while_a_link_is_open_no_second_one_is_the_next_step(person, owner, frame):
    instance = broken(owner)
    browser = member(person, owner, "operator")
    browser.post(f"/connect/{instance.pk}/link/", {"note": "For the report."})
    page = browser.get(url_of(frame, instance))
    assert "Wait until the account owner uses the link" in page.text
    assert labels(page.context["remedies"]) == ["Enter credentials"]
    assert "For the report." in page.text
    assert "Revoke" in page.text


@pytest.mark.parametrize("way", ["draft", "disabled", "operator's"])
def test_what_needs_no_account_owner_is_done_first(person, owner, frame, way):
    instance, expected = {
        "draft": lambda: (
            make_instance(organization_user=owner),
            ["Connect", "Send link to account owner"],
        ),
        "disabled": lambda: (
            make_in_state("connected", is_disabled=True, organization_user_id=owner.pk),
            ["Enable"],
        ),
        "operator's": lambda: (broken(owner, cause="client_rejected"), ["Enter credentials"]),
    }[way]()
    page = member(person, owner, "operator").get(url_of(frame, instance))
    assert labels(page.context["remedies"]) == expected


def test_a_healthy_instance_has_no_verdict_and_no_primary_button(person, owner, frame):
    now = timezone.now()
    instance = make_in_state(
        "connected", organization_user_id=owner.pk, last_succeeded_at=now, verified_at=now
    )
    page = member(person, owner, "operator").get(url_of(frame, instance))
    assert "Healthy" in page.text
    assert "No action needed." in page.text
    assert "im-verdict" not in page.text
    assert "im-btn-primary" not in page.text
    assert labels(page.context["daily"]) == ["Check now"]


def test_the_next_step_of_an_unverified_instance_is_a_check(person, owner, frame):
    instance = make_in_state("connected", organization_user_id=owner.pk)
    page = member(person, owner, "operator").get(url_of(frame, instance))
    assert "stored, but not verified: this connector has no check." in page.text
    assert "No action needed." not in page.text
    assert labels(page.context["daily"]) == ["Check now"]
    assert "im-btn-primary" in page.text


def test_every_other_action_is_in_the_menu_and_dangerous_ones_are_last(person, owner, frame):
    instance = make_in_state("connected", organization_user_id=owner.pk)
    page = member(person, owner, "operator").get(url_of(frame, instance))
    assert labels(page.context["menu"]) == [
        "Enter credentials",
        "Send link to account owner",
        "Edit name and tags",
        "Replace Element token",
    ]
    assert labels(page.context["danger"]) == ["Disable", "Delete"]
    assert page.text.index("Danger zone") > page.text.index("Timeline")


def test_the_instances_with_the_same_cause_are_counted_for_operators(person, owner):
    instance = broken(owner)
    for number in range(2):
        broken(owner, name=f"Other {number}")
    broken(make_organization_user(email="bob@example.com"), name="Of others")
    page = member(person, owner, "operator").get(url_of("admin", instance))
    assert "2 other instances have the same cause." in page.text
    assert "cause=credentials_rejected" in page.text


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"expires_at": timedelta(hours=1)}, "Access token valid until"),
        ({"expires_at": timedelta(hours=-1)}, "Access token ended"),
        ({}, "Access token"),
    ],
)
def test_the_page_says_until_when_there_is_access(person, owner, frame, columns, text):
    columns = {name: timezone.now() + delta for name, delta in columns.items()}
    instance = make_in_state("connected", organization_user_id=owner.pk, **columns)
    assert text in member(person, owner, "viewer").get(url_of(frame, instance)).text


def test_secrets_are_never_on_the_page(person, owner, frame):
    instance = make_instance(organization_user=owner)
    secret = instance.full_configuration()["api.key"]
    page = member(person, owner, "operator").get(url_of(frame, instance)).text
    assert secret not in page
    assert "••••" in page


def test_a_page_shows_and_changes_nothing(person, owner, frame):
    instance = make_instance(organization_user=owner, name="Old")
    browser = member(person, owner, "operator")
    assert browser.post(url_of(frame, instance), {"name": "New"}).status_code == 405
    assert Instance.objects.get().name == "Old"


def test_the_facts_below_the_name_lead_on_in_the_admin(client, db):
    instance = make_instance()
    owner = instance.organization_user
    client.force_login(make_user("root", is_superuser=True))
    page = client.get(reverse("admin:instances_instance_change", args=[instance.pk])).text
    for row in (instance.element, owner, owner.organization):
        name = f"admin:instances_{row._meta.model_name}_change"
        assert f'<a href="{reverse(name, args=[row.pk])}">' in page
    assert "/admin/instances/" not in client.get(reverse("connection", args=[instance.pk])).text


def test_a_fact_is_no_link_without_the_permission_to_view_it(client, db):
    instance = make_instance()
    user = make_user("vera", permissions=("view_instance", "view_element"))
    make_member(user, instance.organization, "viewer")
    client.force_login(user)
    page = client.get(reverse("admin:instances_instance_change", args=[instance.pk])).text
    assert f"/admin/instances/element/{instance.element_id}/change/" in page
    assert "/admin/instances/organizationuser/" not in page


@pytest.mark.parametrize("state", ["connected", "needs_reauthorization", "draft"])
def test_an_instance_whose_way_of_authentication_is_gone_still_has_a_page(
    person, owner, frame, state
):
    instance = make_in_state(state, organization_user_id=owner.pk, name="Acme")
    Instance.objects.filter(pk=instance.pk).update(
        authentication_type="gone", refresh_token_expires_at=timezone.now()
    )
    page = member(person, owner, "operator").get(url_of(frame, instance))
    assert (page.status_code, "Acme" in page.text) == (200, True)
