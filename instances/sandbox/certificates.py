"""Clients that prove themselves with a certificate that was registered here (RFC 7523 2.2)."""

import ssl
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from django.conf import settings
from django.core.cache import cache
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from instances.sandbox.models import Certificate

# What the assertions of certificates are signed with.
_ALGORITHMS = ["PS256", "RS256"]
_KEPT = 20
_REPLAY_SECONDS = 3600


class CertificateAssertion(JWTBearerClientAssertion):
    """An assertion whose header names the certificate by its SHA-256 (x5t#S256)."""

    def get_audiences(self) -> list[str]:
        # The tenant is in the path, which only the request knows: process_assertion_claims() compares the beginning.
        return []

    def resolve_client_public_key(self, client: Any) -> KeySet:
        return KeySet([])

    def process_assertion_claims(self, assertion: str, resolve_key: Any) -> Any:
        header, _ = self.extract_assertion(assertion)
        named = Certificate.objects.filter(thumbprint=str(header.get("x5t#S256", ""))).first()
        if named is None:
            raise InvalidClientError("AADSTS700027: The certificate is not registered for the app.")
        try:
            token = jwt.decode(assertion, RSAKey.import_key(named.pem), algorithms=_ALGORITHMS)
        except JoseError:
            raise InvalidClientError("AADSTS700027: The assertion has another signature.") from None
        self.verify_claims(token.claims)
        return token.claims

    def verify_claims(self, claims: Any) -> None:
        audience = str(claims.get("aud", ""))
        is_here = audience.startswith(f"{settings.PUBLIC_URL}/sandbox/") and audience.endswith(
            "/oauth2/v2.0/token"
        )
        if claims.get("iss") != claims.get("sub") or not is_here:
            raise InvalidClientError(
                "AADSTS700023: The assertion is for another audience or client."
            )
        try:
            jwt.JWTClaimsRegistry(leeway=60, exp={"essential": True}).validate(claims)
        except JoseError:
            raise InvalidClientError("AADSTS700024: The assertion is not valid now.") from None
        if not claims.get("jti") or not self.validate_jti(claims, str(claims["jti"])):
            raise InvalidClientError("AADSTS700025: The assertion was used before.")

    def validate_jti(self, claims: Any, jti: str) -> bool:
        key = sha256(jti.encode()).hexdigest()
        return bool(cache.add(f"sandbox-assertion-{key}", True, _REPLAY_SECONDS))


def register_certificate(text: str) -> Certificate:
    """Register a certificate (PEM) for the sandbox's client; the oldest ones are forgotten.

    Raises ValueError if it is none, is not for an RSA key, or comes with a private key.
    """
    if "PRIVATE KEY" in text:
        raise ValueError("a private key")
    der = ssl.PEM_cert_to_DER_cert(text.strip())
    pem = ssl.DER_cert_to_PEM_cert(der)
    try:
        RSAKey.import_key(pem)
    except JoseError as error:
        raise ValueError("not for an RSA key") from error
    thumbprint = urlsafe_b64encode(sha256(der).digest()).decode().rstrip("=")
    certificate, _ = Certificate.objects.get_or_create(thumbprint=thumbprint, defaults={"pem": pem})
    kept = Certificate.objects.order_by("-pk").values_list("pk", flat=True)[:_KEPT]
    Certificate.objects.exclude(pk__in=list(kept)).delete()
    return certificate
