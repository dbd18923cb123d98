"""A person's trip to a provider of OAuth 1.0a, begun and completed here."""

from typing import Any

import pytest

from instances.errors import AuthorizationDeniedError, ProviderReportedError, ReplayedStateError
from instances.models import Authorization, Interaction
from instances.provisioning.lifecycle.states import State
from instances.provisioning.oauth.authorize import begin_authorization, new_browser_secret
from instances.provisioning.oauth.callback import complete_authorization
from tests.support.factories import make_account, make_element, make_instance
from tests.support.oauth1_provider import signed_element
from tests.support.provider import CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.django_db


class Trip:
    """One person in one browser, sent away to authorize an instance."""

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
            "account": make_account(),
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


def test_the_trip_ends_connected(trip):
    instance = trip.come_back(secret="a-secret-that-the-callback-invents")
    assert instance.state == State.CONNECTED
    tokens = instance.tokens.reveal()
    assert trip.provider.token_secrets[tokens["access_token"]] == tokens["token_secret"]
    assert Authorization.objects.get().outcome == Authorization.Outcome.COMPLETED
    recorded = str([vars(one) for one in Interaction.objects.all()])
    assert not [one for one in trip.provider.secrets if one in recorded]


def test_the_secret_waits_sealed(trip):
    stored = Authorization.objects.get().request_token_secret
    assert stored.reveal() in trip.provider.secrets
    assert stored.reveal() not in stored.ciphertext


def test_a_second_trip_authenticates_again(trip):
    first = trip.come_back().tokens.reveal()["access_token"]
    trip.instance.refresh_from_db()
    trip.begin()
    again = trip.come_back()
    assert again.pk == trip.instance.pk
    assert again.tokens.reveal()["access_token"] != first


def test_an_issuer_is_no_concern_of_oauth_1(trip):
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
def test_a_denial_is_told_in_the_words_that_providers_have(trip, denial):
    with pytest.raises(AuthorizationDeniedError):
        trip.come_back(oauth_verifier=None, **denial)
    trip.instance.refresh_from_db()
    assert trip.instance.state == State.FAILED


def test_a_callback_without_a_verifier_is_no_consent(trip):
    with pytest.raises(ProviderReportedError):
        trip.come_back(oauth_verifier=None)
