"""Keep instances at the endpoints that they were authorized with when an element's defaults change."""

from collections.abc import Mapping
from typing import Any

from instances.catalogue.authentication import VARIANT_KEY, AuthenticationType
from instances.models import Element, Instance
from instances.queries.bulk_update import RowUpdate, update_rows

BATCH_ROWS = 500


def keep_former_defaults(element: Element, before: Mapping[str, Any]) -> None:
    """Name the variant with the former defaults (was_default) on each instance that uses them without a variant.

    before: the definition that was stored until now, in any version's form. Only a variant that it does not have is
    new. A draft was not authorized anywhere yet, and a remote platform has endpoints of its own.
    """
    for way in element.parsed.authentication:
        known = _variants_of(before, way)
        for variant in way.variants:
            if variant.was_default and variant.name not in known:
                _name_variant(element, way, variant.name)


def _variants_of(definition: Mapping[str, Any], way: AuthenticationType) -> set[str]:
    return {
        variant["name"]
        for stored in definition.get("authentication", ())
        if stored["type"] == way.type
        for variant in stored.get("variants", ())
    }


def _name_variant(element: Element, way: AuthenticationType, name: str) -> None:
    rows = Instance.objects.filter(
        element=element,
        authentication_type=way.type,
        organization_user__organization__platform_url="",
    ).exclude(state=Instance.State.DRAFT)
    last = 0
    # Locked, so that no change of a configuration is lost meanwhile.
    locked = rows.select_for_update(of=("self",)).only("pk", "configuration").order_by("pk")
    while page := list(locked.filter(pk__gt=last)[:BATCH_ROWS]):
        update_rows(
            Instance,
            [
                RowUpdate(row.pk, {}, {"configuration": row.configuration | {VARIANT_KEY: name}})
                for row in page
                if way.variant_of(row.configuration) is None
            ],
        )
        last = page[-1].pk
