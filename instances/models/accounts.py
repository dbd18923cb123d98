"""Which accounts at providers instances belong to, so that people can search for them and find duplicates."""

import hashlib
import json
from collections.abc import Mapping

from django.db import models
from django.utils.translation import gettext_lazy as _

from instances.models.instances import Instance


class AccountPart(models.Model):
    """One value of an instance's account_identity, by which lists find it: its user's id, its company's, …"""

    instance = models.ForeignKey(
        Instance, on_delete=models.CASCADE, related_name="account_parts", db_index=False
    )
    name = models.CharField(_("name"), max_length=200)
    value = models.CharField(_("value"), max_length=200, db_index=True)

    class Meta:
        ordering = ["id"]
        verbose_name = _("part of an account's identity")
        verbose_name_plural = _("parts of accounts' identities")
        constraints = [
            models.UniqueConstraint(fields=["instance", "name"], name="account_part_once")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.value}"


def account_digest(element_id: int, identity: Mapping[str, str] | None) -> str:
    """Return what instances of one account and element have in common; empty if the account is not known."""
    if not identity:
        return ""
    text = json.dumps([element_id, *sorted(identity.items())])
    return hashlib.sha256(text.encode()).hexdigest()
