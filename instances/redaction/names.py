"""Which names of fields, headers and configuration keys carry secrets. This is the only list of them."""

import re
from functools import lru_cache

# Whole words of a dotted, dashed, underscored or camelCase name, in the singular.
_SECRET_WORDS = {
    "assertion", "auth", "authorization", "bearer", "code", "cookie", "cred", "credential", "csrf", "dsn", "hmac",
    "jwe", "jws", "jwt", "key", "keystore", "mfa", "otp", "pass", "passphrase", "pem", "pfx", "pin", "psk", "pw",
    "pwd", "sas", "seed", "session", "sessionid", "sig", "signature", "ticket", "totp", "verifier", "xsrf",
}  # fmt: skip
# Endings that make a name secret even inside a word without separators: accesstoken, apikey. Not "key": monkey.
_SECRET_ENDINGS = (
    "accesscode", "accesskey", "accountkey", "apikey", "authcode", "authkey", "clientkey", "consumerkey", "credential",
    "dbpass", "encryptionkey", "licensekey", "masterkey", "passcode", "passphrase", "passwd", "password", "pincode",
    "privatekey", "pwd", "secret", "secretkey", "securitycode", "securitykey", "sessionkey", "sharedkey", "signingkey",
    "subscriptionkey", "token", "userpass", "verifier",
)  # fmt: skip
# Names that are secret although none of their words is: SAMLResponse, passwordhash.
_SECRET_PHRASES = re.compile(
    "apikey|connectionstring|passcode|passphrase|passwd|password|pkcs12|relaystate|samlart|samlresponse|secretid|"
    "securityanswer|sessid|sessionid|tokenid"
)
# A name that ends with such a word describes a secret and is none: session.timeout, token_type.
_ABOUT_A_SECRET = {
    "algorithm", "at", "count", "enabled", "expire", "expiration", "expiry", "format", "in", "interval", "length",
    "lifetime", "method", "required", "timeout", "ttl", "type", "version",
}  # fmt: skip
# A name that consists of these words is an address if it ends with a place: auth.url.
_ENDPOINT_WORDS = {"auth", "authorization", "session", "token"}
_PLACES = {"domain", "endpoint", "host", "port", "server", "uri", "url"}
# Names that contain a secret word, but whose values operators need to read.
_PLAIN_NAMES = {"error_code", "error_codes", "status_code"}
# The same, but only in records: there, `key` is an element's key. As a configuration key, it is the account's.
_PLAIN_IN_RECORDS = {"element_key", "key", "key_id"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether a header, parameter or field of this name carries a secret."""
    return "_".join(_words_of(name)) not in _PLAIN_IN_RECORDS and is_secret_key(name)


@lru_cache(maxsize=1024)
def is_secret_key(name: str) -> bool:
    """Whether a configuration key that no element declares is secret, judging by its name.

    `oauth.api.key`, `userPassword`, `db.passwd` and `session.id` are; `monkey` and `oauth.callback.url` are not.
    """
    words = _words_of(name)
    if words == ["state"]:
        return True
    if not words or "_".join(words) in _PLAIN_NAMES:
        return False
    *_, last = words
    secret = {word for word in words if _is_secret_word(word)}
    if not secret:
        return _SECRET_PHRASES.search("".join(words)) is not None
    is_endpoint = last in _PLACES and secret <= _ENDPOINT_WORDS
    return not is_endpoint and (last in secret or _singular(last) not in _ABOUT_A_SECRET)


def _words_of(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _singular(word: str) -> str:
    return word.removesuffix("s")


def _is_secret_word(word: str) -> bool:
    return any(
        form in _SECRET_WORDS or form.endswith(_SECRET_ENDINGS) for form in (word, _singular(word))
    )
