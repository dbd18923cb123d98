"""What surrounds every page of the admin: one main part, one heading, and the link that skips the sidebar."""

import re

import pytest
from django.contrib.auth.models import Group

from tests.support.factories import make_element, make_instance, make_interaction, make_user
from tests.support.lists import make_in_state

ADMIN = "/admin/instances"
PAGES = [
    "/admin/",
    "/admin/instances/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/auth/user/{user}/change/",
    "/admin/auth/user/{user}/history/",
    "/admin/auth/user/{user}/delete/",
    "/admin/auth/user/{user}/password/",
    "/admin/auth/user/{user}/connections/",
    "/admin/auth/group/",
    "/admin/auth/group/{group}/change/",
    f"{ADMIN}/instance/",
    f"{ADMIN}/instance/?q=nothing-like-it",
    f"{ADMIN}/instance/add/",
    f"{ADMIN}/instance/{{instance}}/change/",
    f"{ADMIN}/instance/{{instance}}/actions/delete/",
    f"{ADMIN}/interaction/",
    f"{ADMIN}/oauthapp/add/",
    f"{ADMIN}/organization/",
    f"{ADMIN}/organization/add/",
    f"{ADMIN}/bulkjob/add/",
    f"{ADMIN}/element/",
    f"{ADMIN}/membership/add/",
    f"{ADMIN}/authorizationlink/",
]


@pytest.fixture
def instance(operator):
    make_element()
    make_interaction(instance=make_instance())
    return make_in_state("failed", cause="refused")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_one_main_part_one_heading_and_a_skip_link(operator, instance, path):
    # Behind the main part, the theme has dialogs that appear on request.
    group = Group.objects.get(name="staff")
    path = path.format(instance=instance.pk, user=make_user().pk, group=group.pk)
    page = operator.get(path).text.partition("</main>")[0]
    assert len(re.findall(r"<main\b", page)) == 1
    assert len(re.findall(r"<h1\b", page)) == 1
    assert page.index('href="#content"') < page.index('id="nav-sidebar"') < page.index("<main")
    assert 'id="content"' in page[page.index("<main") :]


def test_the_form_of_a_user_says_who_it_is_and_leads_on(operator, db):
    user = make_user("grace", first_name="Grace", last_name="Hopper", is_active=False)
    page = operator.get(f"/admin/auth/user/{user.pk}/change/").text
    assert re.search(r"<h1>\s*grace\s*</h1>", page)
    assert "Inactive" in page
    assert "Grace Hopper · grace@example.com · last signed in: never" in page
    assert f'href="/admin/auth/user/{user.pk}/connections/"' in page
