"""Configuration keys: the common ones, and which names must be taken for secrets."""

import pytest

from instances.catalogue.configuration_keys import common_configuration
from instances.redaction import is_secret_key


@pytest.mark.parametrize(
    "key",
    [
        "oauth.api.key",
        "oauth.api.secret",
        "userPassword",
        "messaging.sendgrid.user.confirmpassword",
        "quickbase.apptoken",
        "APIKey",
        "apikey",
        "x-api-key",
        "oauth.user.refresh_token",
        "token_id",
        "providerData.code",
        "PASSWORD_2",
        "credentials",
        "aws.accessKeys",
        "db.passwd",
        "account.pin",
        "user.pwd",
        "session.id",
        "client.assertion",
        "passcode",
        "key",
    ],
)
def test_a_name_that_says_secret_is_taken_for_one(key):
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "monkey",
        "keyword",
        "username",
        "dynamics.tenant",
        "barcode",
        "big.turkey",
        "decoder",
        "error.code",
        "oauth.callback.url",
        "oauth.authorization.url",
        "authentication.type",
        "session.timeout",
        "",
    ],
)
def test_a_name_that_only_contains_the_letters_is_not(key):
    assert not is_secret_key(key)


def test_common_keys_with_a_secret_looking_name_say_whether_they_are_secret():
    silent = [
        key.key
        for key in common_configuration()
        if is_secret_key(key.key) and not (key.secret or key.not_secret_because)
    ]

    assert silent == []
    assert len({key.key for key in common_configuration()}) == len(common_configuration()) >= 20
