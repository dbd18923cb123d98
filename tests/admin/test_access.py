"""Access to the admin: who gets in, what they see, and the pages' headers."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from tests.support.factories import make_instance, make_member, make_user

MODELS = [
    "instances_instance",
    "instances_bulkjob",
    "instances_oauthapp",
    "instances_authorization",
    "instances_authorizationlink",
    "instances_membership",
    "instances_interaction",
    "instances_organization",
    "instances_organizationuser",
    "instances_element",
    "auth_user",
    "auth_group",
]


def test_the_admin_asks_for_a_sign_in(client, db):
    answer = client.get("/admin/instances/instance/", follow=True)
    assert answer.redirect_chain == [("/admin/login/?next=/admin/instances/instance/", 302)]
    assert "Instance Manager" in answer.text


def test_a_user_signs_in_and_finds_the_lists(client, db):
    make_user("grace", is_superuser=True)
    answer = client.post(
        "/admin/login/?next=/admin/",
        {"username": "grace", "password": "correct-horse"},
        follow=True,
    )
    for title in ("Instances", "OAuth apps", "Organizations", "Elements", "Users", "Sandbox"):
        assert re.search(rf">\s*{title}\s*<", answer.text), title


def test_a_wrong_password_is_rejected_and_not_sent_back(client, db):
    make_user("grace")
    answer = client.post("/admin/login/", {"username": "grace", "password": "wrong-and-secret"})
    assert answer.status_code == 200
    assert "wrong-and-secret" not in answer.text


def test_a_user_who_is_not_staff_stays_outside(client, db):
    client.force_login(make_user("visitor", permissions=("view_instance",)))
    user = make_user("nobody")
    user.is_staff = False
    user.save()
    client.force_login(user)
    assert client.get("/admin/instances/instance/").status_code == 302


@pytest.mark.parametrize("model", MODELS)
def test_every_list_opens_for_an_operator_and_is_denied_without_the_permission(
    operator, sign_in, model
):
    url = reverse(f"admin:{model}_changelist")
    assert operator.get(url).status_code == 200
    assert sign_in().get(url).status_code == 403


@pytest.mark.parametrize("path", ["/admin/", "/admin/instances/instance/"])
def test_admin_pages_have_the_admins_content_security_policy(operator, path):
    policy = operator.get(path)["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "form-action 'self';" in policy


def test_only_pages_that_lead_to_a_provider_let_forms_redirect_elsewhere(operator):
    instance = make_instance()
    url = reverse("admin:instances_instance_action", args=[instance.pk, "check"])
    assert (
        "form-action 'self' http://localhost:8000 https:"
        in (operator.get(url)["Content-Security-Policy"])
    )


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("/admin/instances/instance/add/", "add_instance"),
        ("/admin/instances/instance/add/{user}/{element}/", "add_instance"),
        ("/admin/instances/instance/{pk}/change/", "view_instance"),
        ("/admin/instances/instance/{pk}/actions/provision/", "change_instance"),
        ("/admin/instances/instance/{pk}/actions/authorize/", "change_instance"),
        ("/admin/instances/instance/{pk}/actions/check/", "change_instance"),
        ("/admin/instances/instance/{pk}/actions/reauthenticate/", "change_instance"),
        ("/admin/instances/instance/{pk}/actions/edit/", "change_instance"),
        ("/admin/instances/instance/{pk}/actions/link/", "change_instance"),
        ("/admin/instances/instance/{pk}/actions/enable/", "change_instance"),
        ("/admin/instances/instance/{pk}/actions/disable/", "change_instance"),
        ("/admin/instances/instance/{pk}/actions/delete/", "delete_instance"),
        ("/admin/instances/instance/{pk}/actions/reveal/", "reveal_token"),
    ],
)
def test_each_page_needs_its_permission_for_get_and_post(sign_in, path, needed):
    instance = make_instance()
    url = path.format(
        pk=instance.pk, user=instance.organization_user_id, element=instance.element_id
    )
    everything = ("view", "add", "change", "delete")
    others = {f"{verb}_instance" for verb in everything} | {"reveal_token"}
    allowed = {needed} | ({"change_instance"} if needed == "view_instance" else set())
    client = sign_in(*(others - allowed))
    assert client.get(url).status_code == 403
    assert client.post(url, {}).status_code == 403
    instance.refresh_from_db()
    assert instance.state == "draft"
    helped = Client()
    allowed_account = make_user("allowed", permissions=(needed,))
    make_member(allowed_account, instance.organization)
    helped.force_login(allowed_account)
    assert helped.get(url).status_code == 200


def test_users_who_may_only_view_get_no_buttons(sign_in):
    url = reverse("admin:instances_instance_change", args=[make_instance().pk])
    page = sign_in("view_instance").get(url)
    for label in ("Connect", "Delete", "Save"):
        assert f"{label}\n" not in page.text.replace(" ", "")
    assert "actions/" not in page.text
    assert "Exchanges in 24 hours" not in page.text


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("page", ["change", "delete", "history"])
def test_what_is_no_row_has_no_page(operator, model, page):
    address = f"/admin/{model.replace('_', '/')}/no-row/{page}/"
    assert operator.get(address, follow=True).status_code in {200, 403, 404}
