"""Staff check, rename, disable, enable and disconnect their connections, and read their timeline."""

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instances.models import Instance
from instances.provisioning.lifecycle.provision import provision_instance
from tests.support.factories import CUSTOM_CONFIGURATION, make_instance, make_organization_user
from tests.support.lists import make_in_state


@pytest.fixture
def connected(staff, sandbox, dynamics):
    instance = make_instance(
        organization_user=sandbox,
        element=dynamics,
        name="Contoso",
        authentication_type="custom",
        configuration=CUSTOM_CONFIGURATION,
    )
    return provision_instance(instance, actor="test")


def take(person, instance, step):
    return person.browser.post(reverse("connection_action", args=[instance.pk, step]), follow=True)


def test_checking_says_that_it_works(staff, connected):
    assert "Contoso works." in take(staff, connected, "check").text


def test_it_is_disabled_and_enabled_again(staff, connected):
    assert "Contoso is disabled." in take(staff, connected, "disable").text
    connected.refresh_from_db()
    assert connected.is_disabled
    assert "Contoso is enabled." in take(staff, connected, "enable").text
    connected.refresh_from_db()
    assert not connected.is_disabled


@pytest.mark.parametrize("step", ["disable", "delete"])
def test_destructive_steps_ask_first(staff, connected, step):
    page = staff.browser.get(reverse("connection_action", args=[connected.pk, step]))
    assert "Contoso" in page.text
    connected.refresh_from_db()
    assert (connected.state, connected.is_disabled) == ("connected", False)


def test_disconnecting_deletes_the_instance(staff, connected):
    page = take(staff, connected, "delete")
    assert page.redirect_chain == [("/connect/", 302)]
    assert "Contoso was deleted." in page.text
    assert not Instance.objects.exists()


@pytest.mark.parametrize("state", ["draft", "failed"])
def test_a_connection_that_was_never_connected_is_deleted(person, state):
    mina = person("staff")
    user = make_organization_user(user=mina.user)
    instance = make_in_state(state, token="", organization_user_id=user.pk)
    assert f"{state} was deleted." in take(mina, instance, "delete").text
    assert not Instance.objects.exists()


def test_revealing_needs_its_own_permission(staff, connected):
    assert take(staff, connected, "reveal").status_code == 403


def test_the_token_is_shown_once_to_those_who_may_see_it(staff, connected):
    staff.user.user_permissions.add(Permission.objects.get(codename="reveal_token"))
    token = connected.token.reveal()
    assert token in take(staff, connected, "reveal").text
    assert token not in staff.browser.get(reverse("connection", args=[connected.pk])).text


def test_other_actions_are_not_found(staff, connected):
    assert take(staff, connected, "explode").status_code == 404


def test_name_and_tags_are_changed(staff, connected):
    url = reverse("connection_action", args=[connected.pk, "edit"])
    page = staff.browser.post(url, {"name": "Fabrikam", "tags": "north, south"}, follow=True)
    assert "The name and tags of Fabrikam were saved." in page.text
    assert Instance.objects.get().tag_names == ["north", "south"]
    refused = staff.browser.post(url, {"name": "Fabrikam", "tags": "x" * 201})
    assert "A tag has 1 to 200 characters." in refused.text


def test_the_timeline_shows_state_changes_and_exchanges_without_secrets(staff, connected):
    page = staff.browser.get(reverse("connection", args=[connected.pk])).text
    for text in ("Provisioning started.", "Provisioned.", ">200<"):
        assert text in page
    for secret in ("sandbox-password", connected.token.reveal()):
        assert secret not in page


def test_connections_that_need_attention_come_first(staff, connected, sandbox, dynamics):
    make_instance(
        organization_user=sandbox,
        element=dynamics,
        name="Zeta",
        authentication_type="custom",
        configuration=CUSTOM_CONFIGURATION,
    )
    page = staff.browser.get("/connect/").text
    assert page.index("Zeta") < page.index("Contoso")
    assert "Not connected yet." in page
    found = staff.browser.get("/connect/?q=contoso").text
    assert "Contoso" in found
    assert "Zeta" not in found


def test_the_list_costs_the_same_however_long_it_is(
    staff, connected, sandbox, dynamics, django_assert_num_queries
):
    with CaptureQueriesContext(connection) as few:
        staff.browser.get("/connect/")
    for number in range(5):
        make_instance(
            organization_user=sandbox,
            element=dynamics,
            name=f"Number {number}",
            authentication_type="custom",
            configuration=CUSTOM_CONFIGURATION,
        )
    with django_assert_num_queries(len(few)):
        staff.browser.get("/connect/")
