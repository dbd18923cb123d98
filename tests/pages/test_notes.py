"""What to know before anything is entered is above the form, on every page that asks for a configuration."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.callbacks.test_link_fields import link_to, user
from tests.conftest import shipped
from tests.support.admin import operator
from tests.support.factories import make_instance

__all__ = ["link_to", "operator", "user"]

NOTE = "A password alone is not enough for accounts that sign in with a second factor (MFA)"


@pytest.mark.parametrize(("way", "is_told"), [("custom", True), ("oauth2", False)])
def test_operators_read_it_before_a_password_is_tried(operator, user, dynamics, way, is_told):
    url = reverse("admin:instances_instance_configure", args=[user.pk, dynamics.pk])
    assert (NOTE in operator.get(f"{url}?way={way}").text) is is_told


def test_operators_read_it_when_they_enter_other_credentials(operator, dynamics):
    draft = make_instance(
        element=dynamics, configuration={}, authentication_type="custom", is_incomplete=True
    )
    url = reverse("admin:instances_instance_action", args=[draft.pk, "reauthenticate"])
    assert NOTE in operator.get(url).text


def test_staff_read_it_in_self_service(person, user, dynamics):
    mina = person("staff", name="mina")
    user.user = mina.user
    user.save()
    page = mina.browser.get(reverse("connect", args=["dynamicscrmadfs"], query={"way": "custom"}))
    assert NOTE in page.text


@pytest.mark.parametrize(("kind", "is_told"), [("custom", True), ("oauth2", False)])
def test_account_owners_read_it_on_the_page_of_a_link(link_to, kind, is_told):
    page = Client().get(link_to(shipped("dynamicscrmadfs"), {}, kind))
    assert (NOTE in page.text) is is_told
