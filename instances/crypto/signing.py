"""Signed JSON Web Tokens (RFC 7515, RFC 7519)."""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from instances.crypto.keys import SigningKey


def sign_jwt(claims: Mapping[str, Any], key: SigningKey, *, headers: Mapping[str, str]) -> str:
    """Return the claims, signed, in compact form. headers: in addition to alg and typ."""
    private_key, algorithm = key.private_key, str(key.algorithm)
    jwk: RSAKey | ECKey
    if isinstance(private_key, RSAPrivateKey):
        jwk = RSAKey.import_key(private_key)
    else:
        jwk = ECKey.import_key(private_key)
    # The algorithm is named again, since the library takes PS256 only if it is asked for.
    return jwt.encode({"alg": algorithm, **headers}, dict(claims), jwk, algorithms=[algorithm])
