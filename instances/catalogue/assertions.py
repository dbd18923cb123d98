"""Signed assertions by which a client or an account proves itself to a token endpoint, as data (RFC 7521, RFC 7523)."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from instances.crypto.keys import SigningAlgorithm


class Assertion(BaseModel):
    """How an assertion is made. Texts are templates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The configuration key of the private key, of the type private_key.
    private_key_key: str
    algorithm: SigningAlgorithm = SigningAlgorithm.RS256
    # None: the URL of the token endpoint.
    audience: str | None = None
    # Providers refuse an assertion that is valid for long (RFC 7523 3).
    lifetime_seconds: int = 300
    # Names the key (kid, RFC 7515 4.1.4); empty: not sent.
    key_id: str = ""
    # Whether the certificate is named (x5t#S256, RFC 7515 4.1.8), which the private key is then entered with.
    sends_thumbprint: bool = False

    def text_templates(self) -> Iterator[tuple[str, str]]:
        """Yield each text template with its place, such as "audience"."""
        yield "audience", self.audience or ""
        yield "key_id", self.key_id
