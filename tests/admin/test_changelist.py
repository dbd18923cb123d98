"""What all lists of the admin share: labelled cells, removable filters, and the bar of actions."""

import re

import pytest
from django.urls import reverse

from tests.support.factories import (
    make_element,
    make_instance,
    make_interaction,
    make_oauth_app,
    make_organization,
    make_organization_user,
    make_user,
)
from tests.support.lists import make_in_state, names

INSTANCES = "/admin/instances/instance/"
LISTS = {
    "instances_instance": ["Status", "Element", "Organization user", "Tags", "Last checked at"],
    "instances_interaction": ["Subject", "Operation", "Request", "Status", "Duration", "Error"],
    "instances_organization": ["Platform", "Created at"],
    "instances_organizationuser": None,
    "instances_oauthapp": None,
    "instances_element": None,
    "auth_user": ["Email address", "First name", "Last name", "Staff status"],
}


@pytest.fixture
def rows(db):
    instance = make_instance(name="Contoso")
    make_interaction(instance=instance)
    make_oauth_app(organization=instance.organization, element=instance.element)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("name", LISTS)
def test_each_cell_has_its_columns_label_for_cards(operator, name):
    page = operator.get(reverse(f"admin:{name}_changelist")).text
    row = page.partition('<tr class="data-row"')[2].partition("</tr>")[0]
    labels = re.findall(r'<td role="cell"[^>]* data-label="([^"]+)"', row)
    columns = re.findall(r'<th role="columnheader"[^>]*>\s*(?:<a[^>]*>)?\s*([^<]+?)\s*<', page)
    assert labels == columns[1:]
    assert 'role="rowheader" scope="row" class="im-title-cell' in row
    assert LISTS[name] is None or labels == LISTS[name]


def chips(page):
    """Return each active filter's text with the address that removes it."""
    found = re.findall(r'im-chip-on">([^<]+)<b>([^<]*)</b>.*?href="([^"]*)"', page.text, re.DOTALL)
    return {label + value: url.replace("&amp;", "&") for label, value, url in found}


def test_each_active_filter_is_removed_alone(operator):
    broken = make_in_state("failed", name="Acme broken", cause="credentials_rejected")
    make_in_state("failed", name="Acme other", cause="secrets_unreadable")
    make_in_state("failed", name="Zeta", cause="credentials_rejected")
    asked = {"state__exact": ["failed", "draft"], "cause": "credentials_rejected", "q": "acme"}
    page = operator.get(INSTANCES, asked | {"p": "after-99"})
    found = chips(page)
    assert list(found) == [
        "Search: Acme",
        "State: Failed",
        "State: Draft",
        "Cause: Credentials rejected",
    ]
    assert names(operator.get(INSTANCES + found["Search: Acme"])) == ["Zeta", "Acme broken"]
    without_cause = operator.get(INSTANCES + found["Cause: Credentials rejected"])
    assert names(without_cause) == ["Acme other", "Acme broken"]
    left = chips(operator.get(INSTANCES + found["State: Draft"]))
    assert list(left) == ["Search: Acme", "State: Failed", "Cause: Credentials rejected"]
    assert names(operator.get(INSTANCES + found["State: Draft"])) == [broken.name]


def test_filters_are_named_in_words(operator):
    owner = make_organization_user(email="ada@example.com")
    element = make_element()
    asked = {
        "status": "broken",
        "question": "never-checked",
        "tag": "blue",
        "element__id__exact": element.pk,
        "organization_user__organization__id__exact": owner.organization_id,
        "organization_user__id__exact": owner.pk,
    }
    assert set(chips(operator.get(INSTANCES, asked))) == {
        "Status: Broken",
        "Quick filter: Never checked",
        "Tag: Blue",
        f"Element: {element}",
        f"Organization: {owner.organization}",
        f"Organization user: {str(owner)[0].upper()}{str(owner)[1:]}",
    }
    users = operator.get("/admin/auth/user/", {"is_staff__exact": "1"})
    assert list(chips(users)) == ["Staff status: Yes"]


def test_a_filter_does_not_name_an_organization_out_of_reach(sign_in):
    client = sign_in("view_instance", "view_organization")
    secret = make_organization(name="Secret customer")
    page = client.get(INSTANCES, {"organization_user__organization__id__exact": secret.pk})
    assert list(chips(page)) == [f"Organization: {secret.pk}"]
    assert "Secret customer" not in page.text


def test_a_quick_filter_is_added_to_the_other_filters(operator):
    page = operator.get(INSTANCES, {"tag": "blue", "p": "after-5"})
    assert "?tag=blue&amp;question=never-checked" in page.text


def actions(page):
    return re.findall(r'name="action"\s+value="(\w+)"', page.text)


def test_each_action_has_one_button(operator):
    make_instance()
    page = operator.get(INSTANCES)
    offered = [
        name for name, _label in page.context["action_form"].fields["action"].choices if name
    ]
    assert actions(page) == offered
    assert offered[0] == "check"
    assert 'name="index" value="0"' in page.text


def test_a_list_without_rows_or_without_actions_has_no_bar(operator, sign_in):
    assert "im-bulk" not in operator.get(INSTANCES).text
    make_instance()
    assert "im-bulk" not in sign_in("view_instance").get(INSTANCES).text


def test_a_button_runs_its_action_on_the_selected_rows(operator):
    chosen, other = make_instance(name="Chosen"), make_instance(name="Other")
    page = operator.post(
        INSTANCES, {"action": "disable", "index": "0", "_selected_action": [chosen.pk]}
    )
    assert "Chosen" in page.text
    assert other.name not in page.text


def test_users_are_listed_too(operator):
    make_user("grace", last_name="Hopper")
    assert 'data-label="Last name"><span>Hopper</span>' in operator.get("/admin/auth/user/").text
