"""An instance on the embedded platform after its creation: checked, renewed, authenticated again, deleted."""

from dataclasses import replace

import pytest

from instances import errors
from instances.models import Interaction
from instances.platforms.base import TokenSet
from instances.platforms.embedded.embedded_platform import EmbeddedPlatform
from tests.platforms.embedded.conftest import CODE, consented, recorded


def test_a_check_asks_the_probe(platform, provider, code_draft):
    draft = consented(platform, provider, code_draft)
    tokens = platform.create_instance(draft).tokens
    draft = replace(draft, tokens=tokens)
    assert platform.get_instance(draft).is_valid
    provider.access_tokens.clear()
    with pytest.raises(errors.GrantRejectedError):
        platform.get_instance(draft)


def test_a_refresh_spends_the_refresh_token(platform, provider, code_draft):
    draft = consented(platform, provider, code_draft)
    tokens = platform.create_instance(draft).tokens
    spent = replace(draft, tokens=tokens)
    renewed = platform.refresh_tokens(spent)
    assert renewed.access_token in provider.access_tokens - {tokens.access_token}
    assert renewed.refresh_token != tokens.refresh_token
    with pytest.raises(errors.GrantRejectedError):
        platform.refresh_tokens(spent)


def test_without_refresh_token_a_browser_is_needed(platform, code_draft):
    assert platform.refresh_tokens(replace(code_draft, tokens=TokenSet("access"))) is None


def test_a_password_grant_without_refresh_token_signs_in_again(
    platform, provider, make_draft, password_way, password_configuration
):
    draft = make_draft(password_way, password_configuration)
    renewed = platform.refresh_tokens(replace(draft, tokens=TokenSet("", "")))
    assert renewed.access_token in provider.access_tokens


def test_an_update_proves_anew(platform, provider, code_draft):
    created = platform.create_instance(consented(platform, provider, code_draft))
    again = consented(platform, provider, replace(code_draft, tokens=created.tokens))
    renewed = platform.update_instance(again)
    assert renewed.tokens.access_token != created.tokens.access_token


def test_a_deletion_gives_the_grant_back(platform, provider, code_draft):
    draft = consented(platform, provider, code_draft)
    tokens = platform.create_instance(draft).tokens
    platform.delete_instance(replace(draft, tokens=tokens))
    assert provider.last.form["token"] == tokens.refresh_token
    assert provider.refresh_tokens == set()
    assert not [one for one in provider.secrets if one in recorded()]


@pytest.mark.parametrize("override", [(500, ""), (400, {"error": "unsupported_token_type"})])
def test_a_provider_that_does_not_revoke_does_not_block_a_deletion(
    platform, provider, code_draft, override
):
    provider.override = override
    platform.delete_instance(replace(code_draft, tokens=TokenSet("a-token", "r-token")))
    assert Interaction.objects.get().status == override[0]


def test_tokens_that_the_caller_has_are_taken_over(platform, provider, make_draft, code_way):
    draft = make_draft(code_way, CODE | {"oauth.user.refresh_token": "imported-token"})
    draft = replace(draft, external_authentication="initial")
    assert platform.create_instance(draft).tokens == TokenSet("", "imported-token")
    assert provider.requests == []
    with pytest.raises(
        errors.MissingConfigurationError, match=r"oauth\.user\.token, oauth\.user\.refresh_token"
    ):
        platform.create_instance(
            replace(make_draft(code_way, CODE), external_authentication="initial")
        )


def test_there_is_nothing_to_find_enable_or_disable(code_draft):
    platform = EmbeddedPlatform(code_draft.organization)
    platform.set_enabled(code_draft, is_enabled=False)
    assert platform.find_instances(code_draft) == []
