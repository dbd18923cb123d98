"""Authorize an instance at an OAuth 1.0a provider."""

from typing import Any

import pytest

from instances.errors import AuthorizationDeniedError, ProviderReportedError, ReplayedStateError
from instances.models import Authorization, Interaction
from instances.provisioning.lifecycle.states import State
from instances.provisioning.oauth.authorize import begin_authorization, new_browser_secret
from instances.provisioning.oauth.callback import complete_authorization
from tests.support.factories import make_element, make_instance, make_user
from tests.support.oauth1_provider import signed_element
from tests.support.provider import CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.django_db


class Trip:
    """An authorization by one user in one browser."""

    def __init__(self, provider):
        self.provider = provider
        self.instance = make_instance(
            element=make_element(signed_element(provider)),
            configuration={
                "oauth.api.key": CLIENT_ID,
                "oauth.api.secret": CLIENT_SECRET,
                "oauth.callback.url": "https://instances.example/oauth/callback",
            },
        )
        self.who: dict[str, Any] = {
            "user": make_user(),
            "browser_secret": new_browser_secret(),
        }
        self.begin()

    def begin(self):
        self.url = begin_authorization(self.instance, **self.who).url

    def come_back(self, **changes):
        parameters = self.provider.authorize(self.url) | changes
        known = {name: value for name, value in parameters.items() if value is not None}
        return complete_authorization(known, **self.who)


@pytest.fixture
def trip(oauth1_provider):
    return Trip(oauth1_provider)


def test_an_authorization_ends_connected(trip):
    instance = trip.come_back(secret="a-secret-that-the-callback-invents")
    assert instance.state == State.CONNECTED
    tokens = instance.tokens.reveal()
    assert trip.provider.token_secrets[tokens["access_token"]] == tokens["token_secret"]
    assert Authorization.objects.get().outcome == Authorization.Outcome.COMPLETED
    recorded = str([vars(one) for one in Interaction.objects.all()])
    assert not [one for one in trip.provider.secrets if one in recorded]


def test_the_request_token_secret_is_stored_sealed(trip):
    stored = Authorization.objects.get().request_token_secret
    assert stored.reveal() in trip.provider.secrets
    assert stored.reveal() not in stored.ciphertext


def test_a_second_authorization_renews_the_credentials(trip):
    first = trip.come_back().tokens.reveal()["access_token"]
    trip.instance.refresh_from_db()
    trip.begin()
    again = trip.come_back()
    assert again.pk == trip.instance.pk
    assert again.tokens.reveal()["access_token"] != first


def test_oauth_1_ignores_the_issuer(trip):
    element = trip.instance.element
    element.definition["authentication"][0] |= {
        "issuer": "https://issuer.example",
        "sends_iss": True,
    }
    element.save()
    assert trip.come_back(iss="https://mallory.example").state == State.CONNECTED


def test_a_callback_works_once(trip):
    trip.come_back()
    with pytest.raises(ReplayedStateError):
        trip.come_back()


@pytest.mark.parametrize("denial", [{"denied": "the-token"}, {"oauth_problem": "user_refused"}])
def test_each_providers_parameter_for_a_denial_is_understood(trip, denial):
    with pytest.raises(AuthorizationDeniedError):
        trip.come_back(oauth_verifier=None, **denial)
    trip.instance.refresh_from_db()
    assert trip.instance.state == State.FAILED


def test_a_callback_without_a_verifier_connects_nothing(trip):
    with pytest.raises(ProviderReportedError):
        trip.come_back(oauth_verifier=None)
