"""Organizations and their users: generated secrets are shown once, remote ones only entered."""

import json
import re
from html import unescape

import pytest
from django.test import Client

from instances.models import BulkJob, Organization, OrganizationUser
from tests.support.factories import (
    make_instance,
    make_member,
    make_oauth_app,
    make_organization,
    make_organization_user,
    make_user,
)
from tests.support.lists import make_in_state, names

ORGANIZATIONS = "/admin/instances/organization/"
USERS = "/admin/instances/organizationuser/"
REMOTE = {"name": "Far", "platform_url": "https://far.example/", "endpoint_overrides": "{}"}
REMOTE_SECRET = "s3cret0fTheRemotePlatform"


def shown_secret(page):
    found = re.search(r'<pre class="im-code"[^>]*>(.+)</pre>', page.text)
    assert found, page.text
    return unescape(found[1])


def test_a_new_organizations_secret_is_shown_once(operator):
    page = operator.post(f"{ORGANIZATIONS}add/", {"name": "Near", "endpoint_overrides": "{}"})
    organization = Organization.objects.get()
    secret = organization.secret.reveal()
    assert shown_secret(page) == secret
    assert "no-store" in page["Cache-Control"]
    change = operator.get(f"{ORGANIZATIONS}{organization.pk}/change/")
    assert "••••" in change.text
    for later in (change, operator.get(ORGANIZATIONS), operator.get("/admin/")):
        assert secret not in later.text
    assert secret not in str(dict(operator.session)) + str(operator.cookies)


def test_a_new_users_secret_is_shown_once(operator):
    organization = make_organization()
    data = {"organization": organization.pk, "email": "ada@example.com"}
    page = operator.post(f"{USERS}add/", data)
    user = OrganizationUser.objects.get()
    assert shown_secret(page) == user.secret.reveal()
    assert user.secret.reveal() not in operator.get(f"{USERS}{user.pk}/change/").text


@pytest.mark.parametrize("path", [ORGANIZATIONS, USERS])
def test_rotating_asks_first_then_shows_the_new_secret_once(operator, path):
    user = make_organization_user()
    owner = user.organization if path == ORGANIZATIONS else user
    old = owner.secret.reveal()
    url = f"{path}{owner.pk}/rotate-secret/"
    assert "rejected at once" in operator.get(url).text
    owner.refresh_from_db()
    assert owner.secret.reveal() == old
    page = operator.post(url)
    owner.refresh_from_db()
    assert owner.secret.reveal() != old
    assert owner.secret.reveal() in page.text
    assert owner.secret.reveal() not in operator.get(f"{path}{owner.pk}/change/").text


def test_rotating_needs_the_permission_and_the_csrf_token(sign_in):
    url = f"{ORGANIZATIONS}{make_organization().pk}/rotate-secret/"
    assert sign_in("view_organization").post(url).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("operator", is_superuser=True))
    assert strict.post(url).status_code == 403


def test_a_remote_platforms_secret_is_entered_and_never_shown(operator):
    answer = operator.post(f"{ORGANIZATIONS}add/", REMOTE | {"new_secret": REMOTE_SECRET})
    assert answer.status_code == 302
    organization = Organization.objects.get()
    assert organization.platform_url == "https://far.example"
    assert organization.secret.reveal() == REMOTE_SECRET
    url = f"{ORGANIZATIONS}{organization.pk}/change/"
    assert REMOTE_SECRET not in operator.get(url).text
    assert "rotate-secret" not in operator.get(url).text
    assert operator.post(f"{ORGANIZATIONS}{organization.pk}/rotate-secret/").status_code == 403
    operator.post(url, REMOTE | {"name": "Farther", "new_secret": ""})
    organization.refresh_from_db()
    assert (organization.name, organization.secret.reveal()) == ("Farther", REMOTE_SECRET)


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({}, "new_secret", "Enter the secret from the remote platform."),
        ({"new_secret": "two words"}, "new_secret", "Enter a platform secret without spaces"),
        (
            {"new_secret": "x" * 9, "platform_url": ""},
            "new_secret",
            "The embedded platform generates this secret",
        ),
        ({"new_secret": "x" * 9, "platform_url": "ftp://x"}, "platform_url", "valid URL"),
        ({"new_secret": "x" * 9, "endpoint_overrides": "[1]"}, "endpoint_overrides", "Enter {"),
        ({"new_secret": "x" * 9, "endpoint_overrides": "{"}, "endpoint_overrides", "valid JSON"),
    ],
)
def test_an_invalid_value_is_an_error_at_its_field(operator, changes, field, sentence):
    page = operator.post(f"{ORGANIZATIONS}add/", REMOTE | {"new_secret": ""} | changes)
    assert sentence in page.context["adminform"].form.errors[field][0]
    if changes.get("new_secret"):
        assert changes["new_secret"] not in page.text
    assert not Organization.objects.exists()


def test_a_secret_of_another_organization_is_rejected(operator):
    make_organization(secret=REMOTE_SECRET)
    page = operator.post(f"{ORGANIZATIONS}add/", REMOTE | {"new_secret": REMOTE_SECRET})
    errors = page.context["adminform"].form.errors["new_secret"]
    assert errors == ["This secret already belongs to another organization."]


def test_an_organization_does_not_change_its_platform(operator):
    organization = make_organization()
    page = operator.post(f"{ORGANIZATIONS}{organization.pk}/change/", REMOTE)
    assert "cannot change its platform" in page.text


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example", "https://far.example:8443", "http://far.example", "https://far.example@evil.example"],
)  # fmt: skip
def test_the_secrets_of_a_remote_platform_do_not_go_to_another_host(operator, elsewhere):
    far = make_organization(platform_url="https://far.example", secret=REMOTE_SECRET)
    make_organization_user(organization=far)
    url = f"{ORGANIZATIONS}{far.pk}/change/"
    for secret in ("", "an0therSecret"):
        page = operator.post(url, REMOTE | {"platform_url": elsewhere, "new_secret": secret})
        assert page.context["adminform"].form.errors["platform_url"]
    far.refresh_from_db()
    assert (far.platform_url, far.secret.reveal()) == ("https://far.example", REMOTE_SECRET)


def test_without_users_another_host_takes_the_secret_again(operator):
    far = make_organization(platform_url="https://far.example", secret=REMOTE_SECRET)
    url, moved = (
        f"{ORGANIZATIONS}{far.pk}/change/",
        REMOTE | {"platform_url": "https://new.example"},
    )
    page = operator.post(url, moved)
    assert "Enter the secret again" in page.context["adminform"].form.errors["new_secret"][0]
    assert operator.post(url, moved | {"new_secret": REMOTE_SECRET}).status_code == 302
    far.refresh_from_db()
    assert far.platform_url == "https://new.example"


def test_another_path_at_the_same_host_is_no_other_host(operator):
    far = make_organization(platform_url="http://far.example", secret=REMOTE_SECRET)
    make_organization_user(organization=far)
    url = f"{ORGANIZATIONS}{far.pk}/change/"
    moved = REMOTE | {"platform_url": "https://FAR.example/elements/api-v2"}
    assert operator.post(url, moved).status_code == 302


def test_endpoint_overrides_are_stored(operator):
    overrides = {"dynamicscrmadfs": {"https://{dynamics.tenant}/": "/sandbox/"}}
    data = {"name": "Near", "endpoint_overrides": json.dumps(overrides)}
    operator.post(f"{ORGANIZATIONS}add/", data)
    assert Organization.objects.get().endpoint_overrides == overrides


def test_an_organization_with_instances_cannot_be_deleted(operator):
    instance = make_instance()
    organization = instance.organization
    page = operator.post(f"{ORGANIZATIONS}{organization.pk}/delete/", {"post": "yes"})
    assert "protected related objects" in page.text
    page = operator.post(f"{USERS}{instance.organization_user_id}/delete/", {"post": "yes"})
    assert "protected related objects" in page.text
    assert Organization.objects.filter(pk=organization.pk).exists()


def test_the_page_loads_when_the_secret_cannot_be_read(operator, settings):
    organization = make_organization()
    settings.ENCRYPTION_KEYS = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
    page = operator.get(f"{ORGANIZATIONS}{organization.pk}/change/")
    assert "Unreadable: its encryption key is missing" in page.text


def panels_of(page):
    return {str(panel.title): panel for panel in page.context["related"]}


def test_an_organizations_page_lists_what_belongs_to_it(operator):
    instance = make_in_state("failed", name="broken")
    organization = instance.organization
    app = make_oauth_app(organization=organization, element=instance.element)
    job = BulkJob.objects.create(organization_user=instance.organization_user, name="f.csv")
    make_in_state("failed", name="elsewhere")
    page = operator.get(f"{ORGANIZATIONS}{organization.pk}/change/")
    panels = panels_of(page)
    assert {title: panel.count for title, panel in panels.items()} == {
        "Instances": 1,
        "Organization users": 1,
        "OAuth apps": 1,
        "Bulk jobs": 1,
    }
    for row in (instance.organization_user, app, job):
        assert f'/{row._meta.model_name}/{row.pk}/change/">' in page.text
    [part] = panels["Instances"].parts
    assert (part.meaning, names(operator.get(part.url))) == ("broken", ["broken"])
    for panel in panels.values():
        assert len(operator.get(panel.all_url).context["cl"].result_list) == 1


def test_a_viewer_of_an_organization_sees_neither_its_oauth_apps_nor_its_jobs(client, db):
    organization = make_organization_user().organization
    permissions = ("instance", "organization", "organizationuser", "oauthapp", "bulkjob")
    viewer = make_user("vera", permissions=tuple(f"view_{name}" for name in permissions))
    make_member(viewer, organization, "viewer")
    client.force_login(viewer)
    page = client.get(f"{ORGANIZATIONS}{organization.pk}/change/")
    assert set(panels_of(page)) == {"Instances", "Organization users"}
    assert not any(panel.add_url for panel in panels_of(page).values())


def test_a_panel_needs_the_permission_to_view_its_list(sign_in):
    organization = make_organization_user().organization
    page = sign_in("view_organization").get(f"{ORGANIZATIONS}{organization.pk}/change/")
    assert page.context["related"] == []


def test_an_organization_users_page_leads_to_their_instances(operator):
    own = make_in_state("connected", name="own")
    other = make_organization_user(organization=own.organization)
    make_instance(organization_user=other)
    page = operator.get(f"{USERS}{own.organization_user_id}/change/")
    [panel] = page.context["related"]
    assert names(operator.get(panel.all_url)) == ["own"]
