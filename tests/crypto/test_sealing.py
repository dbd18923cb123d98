import base64

import pytest
from hypothesis import given, strategies as st

from instances.crypto import sealing
from instances.errors import EncryptionKeyError, UnreadableSecretError

CONTEXT = "instance.token:6b1f8f3e"


@given(st.text())
def test_what_is_encrypted_decrypts_for_the_same_row_and_field(plaintext):
    ciphertext = sealing.encrypt(plaintext, context=CONTEXT)
    assert sealing.decrypt(ciphertext, context=CONTEXT) == plaintext


def test_two_encryptions_of_one_value_differ():
    assert sealing.encrypt("a", context=CONTEXT) != sealing.encrypt("a", context=CONTEXT)


def test_a_ciphertext_moved_to_another_row_is_refused():
    ciphertext = sealing.encrypt("secret", context=CONTEXT)
    with pytest.raises(UnreadableSecretError, match="another row or field"):
        sealing.decrypt(ciphertext, context="instance.token:other")


def test_an_altered_ciphertext_is_refused():
    head, key_id, sealed = sealing.encrypt("secret", context=CONTEXT).split(".")
    raw = bytearray(base64.urlsafe_b64decode(sealed))
    raw[-1] ^= 1
    altered = f"{head}.{key_id}.{base64.urlsafe_b64encode(bytes(raw)).decode()}"
    with pytest.raises(UnreadableSecretError, match="altered"):
        sealing.decrypt(altered, context=CONTEXT)


@pytest.mark.parametrize(
    "rubbish", ["", "abc", "v1.x", "v1.00000000.AAAA", "v9.a.b", "v1..=", "a.b.ü"]
)
def test_rubbish_is_refused_with_a_sentence(rubbish):
    with pytest.raises(UnreadableSecretError):
        sealing.decrypt(rubbish, context=CONTEXT)


def test_the_first_key_encrypts_and_every_key_decrypts(settings):
    old = settings.ENCRYPTION_KEYS[0]
    ciphertext = sealing.encrypt("secret", context=CONTEXT)
    settings.ENCRYPTION_KEYS = [sealing.generate_key(), old]
    assert sealing.decrypt(ciphertext, context=CONTEXT) == "secret"
    assert not sealing.encrypt("x", context=CONTEXT).startswith(ciphertext[:12])


def test_a_missing_key_is_named_by_its_id(settings):
    ciphertext = sealing.encrypt("secret", context=CONTEXT)
    settings.ENCRYPTION_KEYS = [sealing.generate_key()]
    with pytest.raises(UnreadableSecretError, match=ciphertext.split(".")[1]):
        sealing.decrypt(ciphertext, context=CONTEXT)


def test_a_digest_is_found_again_after_a_new_first_key(settings):
    digest = sealing.digest("token")
    settings.ENCRYPTION_KEYS = [sealing.generate_key(), settings.ENCRYPTION_KEYS[0]]
    assert sealing.digest("token") != digest
    assert digest in sealing.digests("token")


def test_neither_key_id_nor_repr_shows_the_key(settings):
    entry = settings.ENCRYPTION_KEYS[0]
    key = sealing.encryption_keys()[0]
    raw = base64.urlsafe_b64decode(entry)
    assert raw.hex() not in repr(key)
    assert entry not in repr(key)
    assert not raw.hex().startswith(key.id)


@pytest.mark.parametrize("entry", ["", "short", "A" * 42, "!" * 44, "ü" * 44])
def test_a_malformed_key_is_refused_by_its_number_and_not_shown(settings, entry):
    settings.ENCRYPTION_KEYS = [sealing.generate_key(), entry]
    with pytest.raises(EncryptionKeyError, match="entry 2 is not a key") as refusal:
        sealing.encryption_keys()
    assert not entry or entry not in str(refusal.value)


def test_no_key_at_all_is_refused(settings):
    settings.ENCRYPTION_KEYS = []
    with pytest.raises(EncryptionKeyError, match="ENCRYPTION_KEYS is empty"):
        sealing.encrypt("x", context=CONTEXT)
