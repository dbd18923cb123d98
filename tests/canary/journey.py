"""One operator and one client program use the product, and remember every secret that they entered or received."""

import io
import json
import secrets
import traceback
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME
from instances.models import Authorization, Element, Instance, OrganizationUser
from tests.support.factories import CUSTOM_CONFIGURATION, make_element, make_user
from tests.support.provider import ORGANIZATION_SECRET, PASSWORD, USER_SECRET, Provider

ADMIN = "/admin/instances"
API = "/elements/api-v2"
CALLBACK = "/oauth/callback"
DYNAMICS = {"element": {"key": "dynamicscrmadfs"}, "configuration": CUSTOM_CONFIGURATION}
TENANT = {"dynamics.tenant": CUSTOM_CONFIGURATION["dynamics.tenant"]}
EMAIL = "ada@example.com"


def canary(kind: str) -> str:
    """A unique secret with characters that need escaping somewhere."""
    return f"{kind}/+&\"'<é> {secrets.token_hex(16)}"


class Journey:
    """secrets: what each secret is. told: what people and programs were shown, except secrets meant for them."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.told: list[str] = []
        self.browser = Client()
        self.program = Client()

    def keep(self, what: str, secret: str) -> str:
        if secret:
            self.secrets.setdefault(secret, what)
        return secret

    def keep_what_is_stored(self) -> None:
        """Remember every current token and verifier, since a refresh replaces them."""
        for instance in Instance.objects.all():
            self.keep(f"Element token of {instance.pk}", instance.token.reveal())
            for name in ("access_token", "refresh_token"):
                self.keep(f"{name} of {instance.pk}", instance.tokens.reveal().get(name, ""))
        for trip in Authorization.objects.all():
            self.keep(f"code verifier of trip {trip.pk}", trip.code_verifier.reveal())

    def sign_in(self) -> None:
        user = make_user("operator", is_superuser=True)
        password = self.keep("the operator's password", canary("operator"))
        user.set_password(password)
        user.save()
        for typed in (self.keep("a mistyped password", canary("mistyped")), password):
            data = {"username": "operator", "password": typed, "next": "/admin/"}
            self._look(self.browser.post("/admin/login/", data, follow=True))

    def use_the_admin(self, user: OrganizationUser, dynamics: Element) -> None:
        half = {"configuration.user.password": self.keep("half a form", canary("half"))}
        self._look(self.browser.post(f"{_configure(user, dynamics)}?way=custom", half))
        wrong = self.keep("a wrong password", canary("wrong"))
        self._add(user, dynamics, "custom", CUSTOM_CONFIGURATION)
        self._add(user, dynamics, "custom", CUSTOM_CONFIGURATION | {"user.password": wrong})
        connected, failed = Instance.objects.order_by("pk")
        assert (connected.state, failed.state) == ("connected", "failed")
        self.keep_what_is_stored()
        form = {f"configuration.{key}": value for key, value in CUSTOM_CONFIGURATION.items()}
        self._act(failed, "reauthenticate", form)
        refused = self.keep("a refused password", canary("refused"))
        self._act(connected, "reauthenticate", form | {"configuration.user.password": refused})
        key = self.keep("an API key", canary("key"))
        self._add(user, make_element(), "apiKey", {"api.key": key, "site": "acme"})
        shown = self.browser.post(_action(connected, "reveal")).context["secrets"]
        assert list(shown.values()) == [connected.token.reveal()]
        self._authorize_in_every_way(user, dynamics)

    def _authorize_in_every_way(self, user: OrganizationUser, dynamics: Element) -> None:
        url = self._add(user, dynamics, "oauth2", TENANT)
        self.keep("the browser's cookie", self.browser.cookies["oauth_browser"].value)
        instance = Instance.objects.latest("pk")
        self._come_back(self._consent(url, "deny"), 403)
        query = {
            "state": self.keep("a state", _query(self._authorize(instance))["state"]),
            "code": self.keep("a code that was never given out", canary("code")),
            "iss": f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/sandbox",
        }
        self._look(self.browser.get(CALLBACK, query), 400)
        leaked = self.keep("what a provider let slip", secrets.token_urlsafe(32))
        query = {
            "state": self.keep("a state", _query(self._authorize(instance))["state"]),
            "error": "server_error",
            "error_description": f"Nobody has refresh_token={leaked} any more",
            "iss": query["iss"],
        }
        self._look(self.browser.get(CALLBACK, query), 502)
        for reason in ("Provisioned.", "Credentials renewed."):
            back = self._consent(self._authorize(instance), "allow")
            self._look(Client().get(back), 403)
            self._come_back(back, 302)
            self._come_back(back, 409)
            change = instance.state_changes.first()
            assert change
            assert change.reason == reason
            self.keep_what_is_stored()

    def use_the_api(self) -> None:
        header = self._make_account("Program", "--sandbox")
        wrong = CUSTOM_CONFIGURATION | {"user.password": self.keep("API: wrong", canary("api"))}
        self._call("POST", "instances", header, DYNAMICS)
        self._call("POST", "instances", header, DYNAMICS | {"configuration": wrong}, status=400)
        client = {
            "apiKey": "sandbox-client",
            "apiSecret": self.keep("the sandbox's client secret", "sandbox-client-secret"),
            "callbackUrl": "http://localhost/callback",
        }
        path = f"{API}/elements/dynamicscrmadfs/oauth/url"
        asked = client | TENANT | {"state": "state-of-the-client-program"}
        answer = self.program.get(path, asked, headers={"Authorization": header})
        code = _query(self._consent(answer.json()["oauthUrl"], "allow"))["code"]
        configuration = TENANT | {
            "oauth.api.key": client["apiKey"],
            "oauth.api.secret": client["apiSecret"],
            "oauth.callback.url": client["callbackUrl"],
        }
        body = DYNAMICS | {"providerData": {"code": code}, "configuration": configuration}
        self._call("POST", "instances", header, body)
        used = body | {"configuration": configuration | {"document.tagging": "true"}}
        self._call("POST", "instances", header, used, status=400)
        stranger = self.keep("a stranger's secret", "U" + secrets.token_urlsafe(32))
        self._call("GET", "instances", f"User {stranger}, Organization x", status=401)
        self._call("GET", "instances", header)

    def use_a_remote_platform(self, provider: Provider, file: Any) -> None:
        self.keep("the remote organization's secret", ORGANIZATION_SECRET)
        self.keep("the remote user's secret", USER_SECRET)
        self.keep("the remote account's password", PASSWORD)
        given = ["--organization-secret", ORGANIZATION_SECRET, "--user-secret", USER_SECRET]
        self._make_account("Remote", "--platform-url", provider.url, *given)
        configuration = CUSTOM_CONFIGURATION | {"user.password": PASSWORD}
        file.write_text(json.dumps(DYNAMICS | {"configuration": configuration}))
        command = ["provision_instances", str(file), "--user", EMAIL, "--organization", "Remote"]
        self._run(*command)
        provider.override = (400, {"message": f"{PASSWORD} of {USER_SECRET} is wrong"})
        self._fail(*command)
        provider.override = None

    def work_in_the_background(self) -> None:
        for action in ("check", "provision", "disable", "enable"):
            chosen = list(Instance.objects.values_list("pk", flat=True))
            data = {"action": action, "_selected_action": chosen, "confirmed": "yes"}
            self._look(self.browser.post(f"{ADMIN}/instance/", data, follow=True))
        call_command("db_worker", batch=True, startup_delay=False, reload=False)
        self.keep_what_is_stored()
        renewable = Instance.objects.exclude(refresh_due_at=None)
        assert renewable.update(refresh_due_at=timezone.now())
        known = len(self.secrets)
        # One of them: the second use of a code over the API has revoked the tokens of the first.
        self._fail("refresh_tokens")
        self.keep_what_is_stored()
        assert len(self.secrets) > known
        self._act(Instance.objects.filter(state="connected").latest("pk"), "delete")

    def change_secrets(self, user: OrganizationUser, dynamics: Element) -> None:
        app = user.organization.oauth_apps.get(element=dynamics)
        data = {
            "organization": user.organization_id,
            "element": dynamics.pk,
            "client_id": "client",
            "new_client_secret": self.keep("an OAuth app's secret", canary("client")),
        }
        url = f"{ADMIN}/oauthapp/{app.pk}/change/"
        self._look(self.browser.post(url, data, follow=True))
        app.refresh_from_db()
        assert app.client_secret.reveal() == data["new_client_secret"]
        url = f"{ADMIN}/organizationuser/{user.pk}/rotate-secret/"
        for shown in self.browser.post(url).context["secrets"].values():
            self.keep("a rotated secret", shown)

    def _look(self, response: Any, status: int = 200) -> None:
        assert response.status_code == status, response.text
        self.told += [response.text, str(response.headers)]

    def _run(self, *command: str) -> None:
        out = io.StringIO()
        try:
            call_command(*command, stdout=out)
        finally:
            self.told.append(out.getvalue())

    def _fail(self, *command: str) -> None:
        with pytest.raises(CommandError) as failure:
            self._run(*command)
        self.told += traceback.format_exception(failure.value)

    def _make_account(self, organization: str, *options: str) -> str:
        """The Authorization header with which a program calls the API."""
        out = io.StringIO()
        names = ["--organization", organization, "--user", EMAIL]
        call_command("create_account", *names, *options, "--json", stdout=out)
        made = json.loads(out.getvalue())
        user = self.keep(f"user secret of {organization}", made["userSecret"])
        owner = self.keep(f"organization secret of {organization}", made["organizationSecret"])
        return f"User {user}, Organization {owner}"

    def _add(
        self, user: OrganizationUser, element: Element, way: str, configuration: dict[str, str]
    ) -> str:
        """Do step 2 of adding an instance, and connect it; returns the URL to which the browser is sent."""
        data = {f"configuration.{key}": value for key, value in configuration.items()}
        url = f"{_configure(user, element)}?way={way}"
        answer = self.browser.post(url, data | {"connect": "yes"})
        assert answer.status_code == 302, answer.text
        location: str = answer["Location"]
        return location

    def _act(self, instance: Instance, name: str, data: dict[str, str] | None = None) -> None:
        self._look(self.browser.post(_action(instance, name), data or {}, follow=True))

    def _authorize(self, instance: Instance) -> str:
        location: str = self.browser.post(_action(instance, "authorize"))["Location"]
        return location

    def _consent(self, url: str, decision: str) -> str:
        """Sign in to the sandbox as the account owner and decide; returns the URL to which the browser is sent back."""
        password = self.keep("the sandbox's password", SANDBOX_PASSWORD)
        parts = urlsplit(url)
        here = f"{parts.path}?{parts.query}"
        holder = Client(SERVER_NAME=str(parts.hostname), SERVER_PORT=str(parts.port))
        holder.post(here, {"username": SANDBOX_USERNAME, "password": password})
        back: str = holder.post(here, {"decision": decision})["Location"]
        for name in ("state", "code"):
            self.keep(f"a {name}", _query(back).get(name, ""))
        return f"{CALLBACK}?{urlsplit(back).query}"

    def _come_back(self, url: str, status: int) -> None:
        self._look(self.browser.get(url), status)

    def _call(
        self, method: str, path: str, header: str, body: Any = None, *, status: int = 200
    ) -> None:
        answer = self.program.generic(
            method,
            f"{API}/{path}",
            json.dumps(body) if body else "",
            content_type="application/json",
            headers={"Authorization": header},
        )
        self.keep_what_is_stored()
        assert answer.status_code == status, answer.text
        told = answer.text
        for token in Instance.objects.exclude(token_digest=None):
            told = told.replace(token.token.reveal(), "")
        self.told.append(told)


def _action(instance: Instance, name: str) -> str:
    return reverse("admin:instances_instance_action", args=[instance.pk, name])


def _configure(user: OrganizationUser, element: Element) -> str:
    return reverse("admin:instances_instance_configure", args=[user.pk, element.pk])


def _query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
