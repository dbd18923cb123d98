"""The certificates of instances whose clients prove themselves with a private key."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from instances.catalogue.authentication import AuthenticationType
from instances.crypto.certificates import certificate_pem, generate_signing_key
from instances.crypto.keys import SigningKey, UnusableKeyError, read_signing_key
from instances.errors import InputError
from instances.models import Instance
from instances.provisioning.lifecycle.changes import save_changes
from instances.provisioning.lifecycle.states import PROVISIONABLE
from instances.provisioning.plan import plan_changes


def generated_key(way: AuthenticationType, name: str) -> dict[str, str]:
    """Return a new private key with its certificate, by its configuration key. Empty if the way takes none.

    name: of the instance, which the certificate carries.
    """
    assertion = way.assertion
    if assertion is None or not way.takes_certificate:
        return {}
    key = generate_signing_key(name, assertion.algorithm)
    return {assertion.private_key_key: key.to_pem()}


def save_with_generated_key(instance: Instance, entered: Mapping[str, Any]) -> None:
    """Store what was entered, and a new private key, for an instance that was never connected. Nothing is sent.

    Raises StateConflictError, InputError.
    """
    generated = generated_key(instance.authentication, instance.name)
    plan = plan_changes(instance, {**entered, **generated})
    save_changes(instance, configuration=plan.given, expect=PROVISIONABLE, is_authorizing=True)


def certificate_file(instance: Instance) -> str:
    """Return the certificate of an instance's private key in PEM form, without the key; empty if there is none."""
    key = _signing_key(instance)
    return certificate_pem(key) if key else ""


def certificate_end(instance: Instance) -> datetime | None:
    """Return when the certificate of an instance's private key ends (aware, UTC); None if there is none."""
    key = _signing_key(instance)
    return key.certificate_ends_at if key else None


def _signing_key(instance: Instance) -> SigningKey | None:
    try:
        assertion = instance.authentication.assertion
        if assertion is None:
            return None
        text = instance.readable_configuration().get(assertion.private_key_key, "")
        pem, _ = assertion.read(text)
        return read_signing_key(pem, assertion.algorithm)
    except (InputError, UnusableKeyError):
        # The element no longer has the way, or an import stored something else: whoever connects it is told.
        return None
