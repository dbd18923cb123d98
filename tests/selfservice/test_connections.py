"""Staff check, rename, disable, enable and disconnect their connections, and read their timeline."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instances.errors import CredentialsRefusedError
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
    return person.browser.post(reverse("step", args=[instance.pk, step]), follow=True)


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
    page = staff.browser.get(reverse("step", args=[connected.pk, step]))
    assert "Contoso" in page.text
    connected.refresh_from_db()
    assert (connected.state, connected.is_disabled) == ("connected", False)


def test_disconnecting_deletes_the_instance(staff, connected):
    page = take(staff, connected, "delete")
    assert page.redirect_chain == [("/connect/", 302)]
    assert "Contoso was disconnected." in page.text
    assert not Instance.objects.exists()


@pytest.fixture
def never_connected(request, staff, sandbox, dynamics):
    """A draft, or an instance whose first attempt failed."""
    wrong = CUSTOM_CONFIGURATION | {"user.password": "wr0ng-password"}
    instance = make_instance(
        organization_user=sandbox,
        element=dynamics,
        name="Contoso",
        authentication_type="custom",
        configuration=wrong,
    )
    if request.param == "failed":
        with pytest.raises(CredentialsRefusedError):
            provision_instance(instance, actor="test")
    return instance


@pytest.mark.parametrize("never_connected", ["draft", "failed"], indirect=True)
def test_a_connection_that_was_never_connected_is_removed(staff, never_connected):
    page = staff.browser.get(reverse("connection", args=[never_connected.pk])).text
    asked = staff.browser.get(reverse("step", args=[never_connected.pk, "delete"])).text
    done = take(staff, never_connected, "delete").text
    assert ">Remove</a>" in page
    assert "Remove: Contoso" in asked
    assert "It is not connected, so no program uses it." in asked
    assert "Contoso was removed." in done
    for text in (page, asked, done):
        assert "isconnect" not in text
    assert not Instance.objects.exists()


@pytest.mark.parametrize("state", ["needs_reauthorization", "unknown"])
def test_a_connection_that_the_platform_may_have_is_disconnected(person, state):
    mina = person("staff")
    user = make_organization_user(user=mina.user)
    token = "" if state == "unknown" else "token"
    instance = make_in_state(state, token=token, organization_user_id=user.pk)
    for path in (f"/connect/{instance.pk}/", reverse("step", args=[instance.pk, "delete"])):
        page = mina.browser.get(path).text
        assert "Disconnect" in page
        assert "Remove" not in page


def test_other_steps_are_not_found(staff, connected):
    for step in ("reveal", "explode"):
        assert take(staff, connected, step).status_code == 404


def test_name_and_tags_are_changed(staff, connected):
    url = reverse("edit_connection", args=[connected.pk])
    page = staff.browser.post(url, {"name": "Fabrikam", "tags": "north, south"}, follow=True)
    assert "The name and tags of Fabrikam were saved." in page.text
    assert Instance.objects.get().tag_names == ["north", "south"]
    refused = staff.browser.post(url, {"name": "Fabrikam", "tags": "x" * 201})
    assert "A tag has 1 to 200 characters." in refused.text


def test_the_timeline_shows_state_changes_and_exchanges_without_secrets(staff, connected):
    page = staff.browser.get(reverse("connection", args=[connected.pk])).text
    for text in ("Provisioning started.", "Provisioned.", "HTTP 200"):
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
