"""Signed assertions by which a client or an account proves itself to a token endpoint, as data (RFC 7521, RFC 7523)."""

import json
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict

from instances.catalogue.templates import variables_in
from instances.crypto.keys import SigningAlgorithm, UnusableKeyError


class KeyFile(BaseModel):
    """The members of a JSON file in which a provider hands out a private key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Holds the key in PEM form.
    private_key: str = "private_key"
    # Fill templates of the assertion under their own names, unless the configuration has such a key.
    values: tuple[str, ...] = ()

    def read(self, text: str) -> tuple[str, dict[str, str]]:
        """Return the private key (PEM) and the values of a file. Raises UnusableKeyError."""
        try:
            members = json.loads(text)
        except (ValueError, RecursionError):
            members = None
        if not isinstance(members, Mapping):
            raise UnusableKeyError("cannot be read as a JSON key file. Copy the whole file again.")
        found = {name: members.get(name) for name in (self.private_key, *self.values)}
        if missing := [name for name, value in found.items() if not isinstance(value, str)]:
            raise UnusableKeyError(
                f"is a JSON file without {', '.join(missing)}, so it is not a key file of the service."
            )
        return str(found[self.private_key]), {name: str(found[name]) for name in self.values}


class Assertion(BaseModel):
    """How an assertion is made. Texts are templates.

    One that proves a client names the client as issuer and subject. One that is a grant of its own names others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The configuration key of the private key, of the type private_key.
    private_key_key: str
    algorithm: SigningAlgorithm = SigningAlgorithm.RS256
    # None: the URL of the token endpoint.
    audience: str | None = None
    # Providers refuse an assertion that is valid for long (RFC 7523 3).
    lifetime_seconds: int = 300
    # Names the key (kid, RFC 7515 4.1.4). It and the subject are left out where one of their keys has no value.
    key_id: str = ""
    # Of a grant: who signs, and for whom the token is.
    issuer: str = ""
    subject: str = ""
    # Of a grant: further claims that the provider asks for.
    claims: dict[str, str] = {}
    # Whether the scope is a claim, and not a parameter of the request.
    carries_scope: bool = False
    # How to read the private key from a JSON file; None: it is entered in PEM form only.
    key_file: KeyFile | None = None
    # Whether the certificate is named (x5t#S256, RFC 7515 4.1.8), which the private key is then entered with.
    sends_thumbprint: bool = False

    @property
    def keys(self) -> frozenset[str]:
        """The configuration keys that it is made of.

        The private key itself is never sent, but what it signs is as good as a password.
        """
        texts = (text for _, text in self.text_templates())
        return frozenset({self.private_key_key, *(name for t in texts for name in variables_in(t))})

    def text_templates(self) -> Iterator[tuple[str, str]]:
        """Yield each text template with its place, such as "audience"."""
        yield "audience", self.audience or ""
        yield "key_id", self.key_id
        yield "issuer", self.issuer
        yield "subject", self.subject
        yield from ((f"claims.{name}", text) for name, text in self.claims.items())

    def read(self, text: str) -> tuple[str, dict[str, str]]:
        """Return the private key (PEM) of what was entered, and the values that came with it in a key file.

        Raises UnusableKeyError.
        """
        if self.key_file and text.lstrip().startswith("{"):
            return self.key_file.read(text)
        return text, {}
