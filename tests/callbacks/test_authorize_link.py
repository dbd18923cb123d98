"""Authorization links: created by staff, opened by the account owner, and every way they can end."""

import logging
import re
from datetime import timedelta
from email import message_from_string, policy

import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from instances.models import AuthorizationLink, Instance, OrganizationUser
from instances.redaction import log_formatter
from tests.support.consent import TENANT, decide
from tests.support.factories import make_organization_user, make_user
from tests.support.mail_server import MailServer

CREDENTIALS = {
    "configuration.user.username": "user@sandbox.example",
    "configuration.user.password": "sandbox-password",
}


@pytest.fixture
def make(staff, sandbox, dynamics):
    """Create a link for a new connection through the pages; returns its path."""

    def make(way="oauth2", **note):
        data = TENANT | {"name": "Contoso", "link": "yes"}
        drafted = staff.browser.post(f"/connect/catalogue/dynamicscrmadfs/?way={way}", data)
        page = staff.browser.post(drafted["Location"], note)
        found = re.search(r">https?://[^<]+(/authorize/[\w-]+)<", page.text)
        assert found, page.text
        return found[1]

    return make


@pytest.fixture
def account_owner():
    return Client()


def test_the_account_owner_sees_who_asks_for_what_and_connects_by_consent(
    make, account_owner, staff
):
    path = make(note="For the spring report")
    page = account_owner.get(path)
    for told in ("mina of Demo asks", "Microsoft Dynamics CRM", "For the spring report"):
        assert told in page.text
    away = account_owner.post(path)
    thanks = account_owner.get(decide(away["Location"], "allow"))
    assert "Thank you" in thanks.text
    assert "/admin/" not in thanks.text
    instance = Instance.objects.get()
    assert instance.is_connected
    told = staff.browser.get(f"/connect/{instance.pk}/").text
    assert "mina" in told
    assert "authorization link" in told


def test_the_account_owner_enters_credentials_and_may_mistype(make, account_owner):
    path = make("custom")
    wrong = CREDENTIALS | TENANT | {"configuration.user.password": "wr0ng-password"}
    refused = account_owner.post(path, wrong)
    assert refused.status_code == 200
    assert "wr0ng-password" not in refused.text
    assert "Thank you" in account_owner.post(path, CREDENTIALS | TENANT).text
    assert Instance.objects.get().is_connected
    assert AuthorizationLink.objects.get().status == "completed"


def test_the_account_owner_is_asked_for_the_secret_that_nobody_has_entered(make, account_owner):
    path = make("custom")
    assert "Leave blank to keep the current value." not in account_owner.get(path).text
    page = account_owner.post(path, CREDENTIALS | TENANT | {"configuration.user.password": ""})
    assert "This field is required." in page.text
    assert Instance.objects.get().state == "draft"


def test_what_the_account_owner_left_out_stands_beside_its_field(make, account_owner):
    page = account_owner.post(make("custom"), TENANT)
    assert "This field is required." in page.text
    assert Instance.objects.get().state != "connected"


def test_the_account_owner_is_told_that_the_answer_came_from_elsewhere(
    make, account_owner, dynamics
):
    for way in dynamics.definition["authentication"]:
        way["issuer"] = "https://issuer.example"
    dynamics.save()
    page = account_owner.get(decide(account_owner.post(make())["Location"], "allow"))
    assert page.status_code == 400
    assert "did not come from the service that you were sent to" in page.text
    assert "open the link from your message again" in page.text
    assert Instance.objects.get().state == "failed"


def test_it_works_once(make, account_owner):
    path = make("custom")
    account_owner.post(path, CREDENTIALS | TENANT)
    for browser in (account_owner, Client()):
        again = browser.get(path)
        assert again.status_code == 410
        assert "This link has already been used: Contoso is connected." in again.text
        assert "To try again" not in again.text


def test_a_link_that_nobody_made_leads_nowhere(db):
    page = Client().get("/authorize/nobody-made-this")
    assert page.status_code == 404
    assert "ask for a new link" in page.text
    assert "To try again" not in page.text


def test_looking_uses_nothing_up_and_the_first_browser_that_goes_on_keeps_it(make, account_owner):
    path = make()
    assert Client().get(path).status_code == 200
    account_owner.get(path)
    assert account_owner.post(path).status_code == 302
    other = Client()
    assert other.get(path).status_code == 403
    assert other.post(path).status_code == 403
    assert account_owner.post(path).status_code == 302


@pytest.mark.parametrize("is_https", [True, False])
def test_a_cookie_that_was_planted_before_the_link_was_opened_is_of_no_use(
    make, account_owner, settings, is_https
):
    path = make("custom")
    settings.IS_HTTPS = is_https
    stranger = Client()
    for browser in (account_owner, stranger):
        browser.cookies["oauth_browser"] = browser.cookies["__Host-oauth_browser"] = "x" * 43
    wrong = CREDENTIALS | TENANT | {"configuration.user.password": "wr0ng-password"}
    account_owner.get(path)
    claimed = account_owner.post(path, wrong)
    assert ("__Host-oauth_browser" if is_https else "oauth_browser") in claimed.cookies
    ours = set(claimed.cookies) - {"csrftoken"}
    assert is_https is all(name.startswith("__Host-") for name in ours)
    assert stranger.get(path).status_code == 403
    assert stranger.post(path, CREDENTIALS | TENANT).status_code == 403
    assert "Thank you" in account_owner.post(path, CREDENTIALS | TENANT).text


def visit_of(page):
    """Return the hidden field of a link's form."""
    [visit] = re.findall(r'name="visit" value="([0-9a-f]+)"', page.text)
    return {"visit": visit}


def test_the_account_owner_sends_the_form_again_when_the_answer_got_lost(make, account_owner):
    path = make("custom")
    form = CREDENTIALS | TENANT | visit_of(account_owner.get(path))
    before = {name: cookie.value for name, cookie in account_owner.cookies.items()}
    account_owner.post(path, form | {"configuration.user.password": "wr0ng-password"})
    account_owner.cookies.clear()
    account_owner.cookies.load(before)
    assert account_owner.get(path).status_code == 200
    assert "Thank you" in account_owner.post(path, form).text


def test_a_cookie_that_was_planted_while_the_page_was_open_is_of_no_use(make, account_owner):
    path = make("custom")
    stranger = Client()
    form = CREDENTIALS | TENANT | visit_of(account_owner.get(path))
    stranger.get(path)
    planted = stranger.cookies["link_visit"].value
    account_owner.cookies["link_visit"] = account_owner.cookies["oauth_browser"] = planted
    account_owner.post(path, form | {"configuration.user.password": "wr0ng-password"})
    stranger.cookies["oauth_browser"] = planted
    assert stranger.get(path).status_code == 403
    assert account_owner.get(path).status_code == 200


def test_a_link_is_kept_by_the_browser_that_goes_through_others_too(make, account_owner):
    paths = [make(), make("custom")]
    away = [account_owner.post(paths[0])["Location"]]
    account_owner.post(paths[1], CREDENTIALS | TENANT | {"configuration.user.password": "wr0ng"})
    assert account_owner.get(decide(away[0], "deny")).status_code == 403
    assert account_owner.get(paths[0]).status_code == 200
    assert "Thank you" in account_owner.post(paths[1], CREDENTIALS | TENANT).text
    assert (
        "Thank you"
        in account_owner.get(decide(account_owner.post(paths[0])["Location"], "allow")).text
    )


def test_a_browser_whose_way_ends_in_an_error_keeps_the_link(make, account_owner, dynamics):
    path = make()
    for way in dynamics.definition["authentication"]:
        way.pop("authorization_endpoint", None)
    dynamics.save()
    account_owner.post(path)
    assert AuthorizationLink.objects.get().status == "started"
    assert account_owner.get(path).status_code != 403


def test_after_a_denial_the_same_browser_tries_again(make, account_owner):
    path = make()
    denied = account_owner.get(decide(account_owner.post(path)["Location"], "deny"))
    assert denied.status_code == 403
    assert "open the link from your message again" in denied.text
    account_owner.get(decide(account_owner.post(path)["Location"], "allow"))
    assert Instance.objects.get().is_connected


def test_another_browser_cannot_end_the_trip(make, account_owner):
    back = decide(account_owner.post(make())["Location"], "allow")
    assert Client().get(back).status_code == 403
    assert "Thank you" in account_owner.get(back).text


def test_it_expires(make, account_owner):
    path = make()
    AuthorizationLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert account_owner.get(path).status_code == 410
    assert account_owner.post(path).status_code == 410
    assert Instance.objects.get().state == "draft"


def test_seven_days_are_left_to_it(make):
    make()
    left = AuthorizationLink.objects.get().expires_at - timezone.now()
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)


def test_its_maker_revokes_it_even_while_the_account_owner_is_away(make, account_owner, staff):
    back = decide(account_owner.post(make())["Location"], "allow")
    url = reverse("revoke_link", args=[AuthorizationLink.objects.get().pk])
    assert "The link stops working." in staff.browser.get(url).text
    assert "The link was revoked." in staff.browser.post(url, follow=True).text
    assert account_owner.get(back).status_code == 410
    assert "is no longer open (revoked)" in staff.browser.post(url, follow=True).text
    assert not Instance.objects.get().is_connected


def deactivate(staff, sandbox):
    User.objects.filter(pk=staff.user.pk).update(is_active=False)


def leave_group(staff, sandbox):
    staff.user.groups.clear()


def lose_permission(staff, sandbox):
    staff.user.groups.clear()
    staff.user.user_permissions.set(
        Permission.objects.filter(group__name="staff").exclude(codename="change_instance")
    )


def untie(staff, sandbox):
    OrganizationUser.objects.filter(pk=sandbox.pk).update(user=None)


def hand_instance_over(staff, sandbox):
    other = make_organization_user(organization=sandbox.organization)
    Instance.objects.update(organization_user=other)


LOSSES = [deactivate, leave_group, lose_permission, untie, hand_instance_over]


@pytest.mark.parametrize("lose", LOSSES)
def test_it_ends_when_its_creator_may_not_change_the_instance_any_more(
    make, account_owner, staff, sandbox, lose
):
    path = make("custom")
    assert account_owner.get(path).status_code == 200
    lose(staff, sandbox)
    for answer in (account_owner.get(path), account_owner.post(path, CREDENTIALS | TENANT)):
        assert answer.status_code == 410
        assert "This link for Contoso no longer works" in answer.text
    assert Instance.objects.get().state == "draft"


@pytest.mark.parametrize("lose", LOSSES)
def test_a_trip_under_way_ends_when_its_creator_may_not_change_the_instance_any_more(
    make, account_owner, staff, sandbox, lose
):
    back = decide(account_owner.post(make())["Location"], "allow")
    lose(staff, sandbox)
    assert account_owner.get(back).status_code == 410
    assert Instance.objects.get().state == "failed"


@pytest.mark.parametrize("role", ["removed", "viewer"])
def test_it_ends_with_the_membership_of_an_operator_who_made_it(
    make, account_owner, person, staff, sandbox, role
):
    make()
    boss = person("operator", of=sandbox.organization, name="boss")
    made = boss.browser.post(
        reverse("connection_action", args=[Instance.objects.get().pk, "link"]), {}
    )
    path = re.findall(r"/authorize/[\w-]+", made.text)[0]
    assert account_owner.get(path).status_code == 200
    if role == "removed":
        boss.user.memberships.all().delete()
    else:
        boss.user.memberships.update(role="viewer")
    assert account_owner.get(path).status_code == 410


@pytest.mark.parametrize("lose", [deactivate, leave_group, lose_permission])
def test_no_page_says_that_it_waits_for_a_link_that_has_ended(make, person, staff, sandbox, lose):
    make()
    boss = person("operator", of=sandbox.organization, name="boss")
    waits = "Account owner must act."
    pages = ["/connect/", reverse("connection", args=[Instance.objects.get().pk])]
    for page in pages:
        assert waits in boss.browser.get(page).text
    lose(staff, sandbox)
    boss.user.user_permissions.set(Permission.objects.filter(codename="change_instance"))
    for page in pages:
        assert waits not in boss.browser.get(page).text
    told = boss.browser.get(pages[1]).text
    assert "Its creator no longer has access" in told
    assert "Revoke" in told


def test_a_link_whose_creator_lost_access_can_be_revoked_for_good(
    make, account_owner, person, sandbox
):
    path = make()
    boss = person("operator", of=sandbox.organization, name="boss")
    User.objects.filter(username="mina").update(is_active=False)
    url = reverse("revoke_link", args=[AuthorizationLink.objects.get().pk])
    assert "The link was revoked." in boss.browser.post(url, follow=True).text
    User.objects.filter(username="mina").update(is_active=True)
    assert "was revoked" in account_owner.get(path).text


def test_a_superusers_link_works_wherever_the_instance_is(make, account_owner):
    make()
    root = Client()
    root.force_login(make_user("root", is_superuser=True))
    made = root.post(reverse("connection_action", args=[Instance.objects.get().pk, "link"]), {})
    assert account_owner.get(re.findall(r"/authorize/[\w-]+", made.text)[0]).status_code == 200


@pytest.mark.parametrize("way", ["oauth2", "custom"])
def test_the_link_of_a_superuser_ends_when_that_account_is_closed(make, account_owner, way):
    make(way)
    root = Client()
    root.force_login(make_user("root", is_superuser=True))
    made = root.post(reverse("connection_action", args=[Instance.objects.get().pk, "link"]), {})
    path = re.findall(r"/authorize/[\w-]+", made.text)[0]
    before = Instance.objects.get().state
    User.objects.filter(username="root").update(is_active=False)
    for answer in (
        account_owner.get(path),
        account_owner.post(path, CREDENTIALS | TENANT),
    ):
        assert answer.status_code == 410
        assert "This link for Contoso no longer works" in answer.text
    assert Instance.objects.get().state == before


def test_the_list_asks_as_much_for_many_links_as_for_one(
    make, staff, sandbox, django_assert_max_num_queries
):
    with CaptureQueriesContext(connection) as for_one:
        make()
        staff.browser.get("/connect/")
        before = len(for_one)
        staff.browser.get("/connect/")
    few = len(for_one) - before
    for _number in range(3):
        staff.browser.post(
            reverse("connection_action", args=[Instance.objects.get().pk, "link"]), {}
        )
    with django_assert_max_num_queries(few):
        staff.browser.get("/connect/")


def test_there_is_no_link_of_another_token(account_owner, db):
    assert account_owner.get(f"/authorize/{'x' * 43}").status_code == 404


def test_an_instance_without_an_oauth_app_is_not_left_to_its_account_owner(
    staff, sandbox, dynamics
):
    sandbox.organization.oauth_apps.all().delete()
    data = TENANT | {"name": "Contoso", "link": "yes"}
    drafted = staff.browser.post("/connect/catalogue/dynamicscrmadfs/?way=oauth2", data)
    page = staff.browser.post(drafted["Location"], {})
    assert "oauth.api.key" in page.text
    assert not AuthorizationLink.objects.exists()


def test_a_connection_is_renewed_by_a_link_and_keeps_its_token(make, account_owner, staff):
    account_owner.post(make("custom"), CREDENTIALS | TENANT)
    before = Instance.objects.get()
    page = staff.browser.post(reverse("connection_action", args=[before.pk, "link"]), {})
    path = re.findall(r"/authorize/[\w-]+", page.text)[0]
    assert "Thank you" in Client().post(path, CREDENTIALS | TENANT).text
    assert Instance.objects.get().token.reveal() == before.token.reveal()


def test_the_token_is_nowhere_in_clear(make, account_owner, caplog):
    path = make()
    token = path.rpartition("/")[2]
    AuthorizationLink.objects.update(expires_at=timezone.now())
    with caplog.at_level(logging.WARNING, logger="django.request"):
        account_owner.get(path)
    written = [log_formatter().format(record) for record in caplog.records]
    assert any("/authorize/[redacted]" in line for line in written)
    assert not any(token in line for line in written)
    row = AuthorizationLink.objects.values().get()
    assert token not in str(row)


def test_the_page_is_not_stored_and_tells_no_other_site_its_address(make, account_owner):
    answer = account_owner.get(make())
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "same-origin"


def test_the_page_that_shows_a_link_once_is_not_stored(make, staff):
    make()
    page = staff.browser.post(
        reverse("connection_action", args=[Instance.objects.get().pk, "link"]), {}
    )
    assert "/authorize/" in page.text
    assert "no-store" in page["Cache-Control"]


def test_the_form_needs_its_csrf_token(make):
    strict = Client(enforce_csrf_checks=True)
    path = make()
    strict.get(path)
    assert strict.post(path).status_code == 403
    assert AuthorizationLink.objects.get().used_at is None


def test_it_is_sent_by_email_where_email_is_set_up(make, settings):
    settings.CAN_SEND_EMAIL = True
    path = make(email="account_owner@example.com", note="Please")
    message = mail.outbox[0]
    assert message.to == ["account_owner@example.com"]
    assert path in message.body
    assert "mina of Demo asks you" in message.body
    assert "Please" in message.body


@pytest.fixture
def mail_server(settings):
    """What EMAIL_URL=smtp://127.0.0.1:<port> stands for."""
    with MailServer() as server:
        settings.CAN_SEND_EMAIL = True
        options = {"host": "127.0.0.1", "port": server.port, "timeout": 5}
        settings.MAILERS = {
            "default": {
                "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
                "OPTIONS": options,
            }
        }
        yield server


def test_it_reaches_the_account_owner_through_a_mail_server(make, mail_server):
    path = make(email="account_owner@example.com", note="Grüße")
    message = message_from_string(mail_server.messages[0], policy=policy.default)
    assert message["To"] == "account_owner@example.com"
    assert message["Subject"] == "mina asks you to connect your Microsoft Dynamics CRM account"
    text = message.get_content()
    assert path in text
    assert "Grüße" in text
    assert len(mail_server.messages) == 1


def test_a_link_that_could_not_be_sent_is_there_to_be_copied(make, staff, mail_server):
    mail_server.__exit__()
    assert "/authorize/" in make(email="account_owner@example.com")
    url = reverse("connection_action", args=[Instance.objects.get().pk, "link"])
    page = staff.browser.post(url, {"email": "account_owner@example.com"})
    assert "The e-mail could not be sent. Copy the link and send it yourself." in page.text


def test_no_page_offers_email_where_there_is_none(make, staff, settings):
    make(email="account_owner@example.com")
    assert mail.outbox == []
    page = staff.browser.get(reverse("connection_action", args=[Instance.objects.get().pk, "link"]))
    assert 'name="email"' not in page.text
    assert "No mail server is configured (setting EMAIL_URL)" in page.text
