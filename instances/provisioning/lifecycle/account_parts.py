"""Make instances searchable by the accounts that they belong to."""

from collections.abc import Mapping

from instances.models import AccountPart
from instances.queries.bulk_insert import insert_rows

_MAX_CHARACTERS = 200


def save_account_parts(identities: Mapping[int, Mapping[str, str]]) -> None:
    """Store what instances are found by, in place of what was stored. identities: by the id of the instance."""
    if not identities:
        return
    AccountPart.objects.filter(instance__in=identities).delete()
    rows = [
        (pk, name[:_MAX_CHARACTERS], value[:_MAX_CHARACTERS])
        for pk, identity in identities.items()
        for name, value in identity.items()
    ]
    insert_rows(AccountPart, ["instance", "name", "value"], rows)
