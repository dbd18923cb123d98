"""The stub provider, its elements, and a client of the API that connects accounts of them."""

import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from instances.models import Element, Instance
from tests.api.conftest import ApiClient, make_api_client
from tests.support.factories import make_element
from tests.support.stub_provider import StubProvider

ELEMENTS = Path(__file__).parent / "elements"
CLIENT = {
    "oauth.api.key": "client-id-1",
    "oauth.api.secret": "client-secret-1",
    "oauth.callback.url": "https://app.example/callback",
}


@pytest.fixture
def stub(settings) -> Iterator[StubProvider]:
    with StubProvider() as stub:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [stub.netloc]
        yield stub


class Account:
    """The account of one case, connected through the API; `answer` is the response to the create."""

    def __init__(self, api: ApiClient, case: str, element: str, **body: Any) -> None:
        self._api = api
        configuration = {"stub.case": case, **body.pop("configuration", {})}
        self.answer = api.post(
            "instances",
            {"element": {"key": element}, "name": case, "configuration": configuration, **body},
        )

    @property
    def row(self) -> Instance:
        return Instance.objects.get()

    @property
    def health(self) -> dict[str, Any]:
        response = self._api.get(f"instances/{self.row.pk}/health")
        assert response.status_code == 200
        return dict(response.json())

    def store_key(self, key: str) -> None:
        """Change the API key without asking the provider."""
        path = f"instances/{self.row.pk}?reAuthenticate=false"
        response = self._api.patch(path, {"configuration": {"api.key": key}})
        assert response.status_code == 200, response.content

    def outcome(self) -> tuple[str, str, bool]:
        """State, cause and whether it is verified."""
        return self.row.state, self.row.cause, self.health["verified"]

    def refresh(self) -> None:
        """Run manage.py refresh_tokens when the next refresh is due."""
        now = timezone.now()
        Instance.objects.exclude(refresh_due_at=None).update(refresh_due_at=now)
        _run("refresh_tokens")

    def check(self) -> None:
        """Run manage.py check_instances when the next check is due."""
        Instance.objects.exclude(next_action_at=None).update(next_action_at=timezone.now())
        _run("check_instances")


def _run(command: str) -> None:
    with suppress(CommandError):  # some failed
        call_command(command)


class Connect:
    """connect.by_code(case), … connect an account of a stub element in the way that the case is about."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api

    def sign_in(self, organization: str, email: str) -> None:
        """Go on as a user of another organization."""
        self.api = make_api_client(organization, email)

    def element(self, key: str) -> Element:
        return Element.objects.get(key=key)

    def by_code(self, case: str, element: str = "stub-code", **client: str) -> Account:
        code = {"code": "the-code"}
        return Account(self.api, case, element, configuration=CLIENT | client, providerData=code)

    def by_refresh_token(self, case: str, element: str = "stub-code") -> Account:
        tokens = {"oauth.user.refresh_token": "old-refresh-token-1"}
        return Account(
            self.api,
            case,
            element,
            configuration=CLIENT | tokens,
            externalAuthentication="initial",
        )

    def by_key(self, case: str, key: str = "some-api-key-1") -> Account:
        return Account(self.api, case, "stub-key", configuration={"api.key": key})

    def by_password(self, case: str) -> Account:
        password = {"username": "ada", "password": "wrong-password-1"}
        return Account(self.api, case, "stub-password", configuration=CLIENT | password)

    def by_client_credentials(self, case: str) -> Account:
        return Account(self.api, case, "stub-cc", configuration=CLIENT)


@pytest.fixture
def connect(transactional_db, stub: StubProvider) -> Connect:
    for path in ELEMENTS.glob("*.toml"):
        make_element(tomllib.loads(path.read_text().replace("http://stub.example", stub.url)))
    return Connect(make_api_client())
