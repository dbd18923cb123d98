"""The console says ahead of time what providers change, and which client secrets end."""

from datetime import timedelta

import pytest
from django.utils import timezone

from instances.admin import coming_up
from instances.catalogue.definition import ElementDefinition
from instances.models import Element
from instances.provisioning.elements import store_elements
from tests.support.factories import (
    KEY_DEFINITION,
    make_element,
    make_instance,
    make_oauth_app,
    make_organization,
)


def ending_in(days):
    day = timezone.localdate() + timedelta(days=days)
    return {"sunset": {"date": day.isoformat(), "what": "The old API ends."}}


def installed(**changes):
    """The element of KEY_DEFINITION with these changes, as its file would be loaded."""
    definition = ElementDefinition.model_validate(KEY_DEFINITION | changes)
    store_elements([definition], Element.Source.OWN)
    return Element.objects.get(key=definition.key)


@pytest.fixture
def element(db):
    return installed(**ending_in(30))


def shown(browser):
    return [(one.title, one.count) for one in browser.get("/admin/").context["coming_up"]]


def test_a_change_at_the_provider_counts_the_instances_that_the_user_may_see(
    operator, sign_in, element
):
    make_instance(element=element)
    make_instance(element=element)
    assert shown(operator) == [(element.name, "2 instances")]
    page = operator.get("/admin/").text
    assert "The old API ends." in page
    assert f"element__id__exact={element.pk}" in page
    browser = sign_in("view_instance")
    make_instance(element=element)
    assert shown(browser) == [(element.name, "2 instances")]


def test_the_end_of_one_way_concerns_its_instances_alone(operator):
    [way] = KEY_DEFINITION["authentication"]
    element = installed(authentication=[way | ending_in(30)])
    instance = make_instance(element=element)
    assert [count for _, count in shown(operator)] == ["1 instance"]
    type(instance).objects.update(authentication_type="another")
    assert shown(operator) == []


@pytest.mark.parametrize("days", [-1, 0, 400])
def test_what_is_over_or_far_away_is_not_listed(operator, days):
    make_instance(element=installed(**ending_in(days)))
    assert shown(operator) == []


def test_an_element_that_nobody_uses_is_not_listed(operator, element):
    assert shown(operator) == []


def test_of_very_many_instances_not_all_are_counted(operator, element, monkeypatch):
    monkeypatch.setattr(coming_up, "MAX_COUNTED", 1)
    make_instance(element=element)
    assert shown(operator) == [(element.name, "1 instance")]
    make_instance(element=element)
    assert shown(operator) == [(element.name, "More than 1 instances")]


def test_a_client_secret_is_listed_for_those_who_may_see_its_app(operator, sign_in):
    ends_on = timezone.localdate() + timedelta(days=20)
    organization = make_organization()
    make_oauth_app(organization=organization, element=make_element(), secret_ends_on=ends_on)
    assert len(shown(operator)) == 1
    assert "The client secret ends." in operator.get("/admin/").text
    browser = sign_in("view_instance", "view_oauthapp")
    assert len(shown(browser)) == 1
    make_oauth_app(organization=make_organization(), element=make_element(), secret_ends_on=ends_on)
    assert len(shown(browser)) == 1


def test_a_client_secret_needs_the_permission(sign_in):
    ends_on = timezone.localdate() + timedelta(days=20)
    make_oauth_app(organization=make_organization(), element=make_element(), secret_ends_on=ends_on)
    assert shown(sign_in("view_instance")) == []
