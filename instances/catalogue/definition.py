"""Element definitions: connectors as data.

These classes and those of authentication.py define the shape of a definition; validation.py checks its content. So a
stored definition stays readable when the checks become stricter.
"""

from collections.abc import Collection
from datetime import date
from functools import cached_property
from typing import Literal

from instances.catalogue.authentication import AuthenticationType, EndpointName
from instances.catalogue.availability import Availability, Available
from instances.catalogue.configuration_keys import (
    ConfigurationKey,
    common_configuration,
)
from instances.catalogue.hub_api import HubApi
from instances.errors import CatalogueError, InvalidConfigurationError
from instances.redaction import is_secret_key


class ElementDefinition(Available):
    """One element: a connector of the catalogue."""

    key: str
    # The number that API clients use.
    id: int
    name: str
    hub: str
    description: str
    # What to prepare before connecting, for whoever does it (contract 6).
    config_description: str = ""
    active: bool = True
    # The element whose ways of authentication this one shares.
    alias_of: str | None = None
    authentication: tuple[AuthenticationType, ...] = ()
    # How changes are detected; empty: not at all; None: unknown.
    events: tuple[Literal["polling", "webhook"], ...] | None = None
    # What hub calls become; None: not served.
    hub_api: HubApi | None = None
    notes: str = ""

    def authentication_type(self, kind: str | None = None) -> AuthenticationType:
        """Return the way of this kind, ignoring case (contract 7.2).

        Without a kind, the first one that can be connected; the first one if all are retired.

        Raises InvalidConfigurationError, which names the known kinds.
        """
        if not kind:
            return next(iter(self.connectable_ways), self.authentication[0])
        for way in self.authentication:
            if way.type.lower() == kind.lower():
                return way
        known = ", ".join(way.type for way in self.authentication)
        raise InvalidConfigurationError("authentication.type", f"must be one of: {known}.")

    @property
    def last_sunset_on(self) -> date | None:
        """The last day on which the provider changes the element or one of its ways."""
        sunsets = (self.sunset, *(way.sunset for way in self.authentication))
        return max((sunset.date for sunset in sunsets if sunset), default=None)

    @property
    def is_retired(self) -> bool:
        return self.status == Availability.RETIRED

    @cached_property
    def connectable_ways(self) -> tuple[AuthenticationType, ...]:
        """The ways of authentication that new instances may use."""
        if self.is_retired:
            return ()
        return tuple(way for way in self.authentication if way.status != Availability.RETIRED)

    def retirement_of(self, way: AuthenticationType) -> str:
        """Say why no new instance may use the way, and what to use instead. Empty if it may."""
        return self.retirement or way.retirement

    def endpoint(self, way: AuthenticationType, name: EndpointName) -> str:
        """Return the template of an endpoint.

        Raises CatalogueError, which names it, if it is unknown.
        """
        template: str | None = getattr(way, name)
        if template is None:
            raise CatalogueError(
                f"{self.key}: the {name} of its {way.type} authentication is not known, so it cannot be used. Once you "
                "know it, load an element file of your own that states it."
            )
        return template

    def is_secret(self, key: str) -> bool:
        """Whether a configuration key's value must be sealed and masked.

        A declared key is secret if any way of authentication says so; an undeclared one if its name looks secret
        (redaction/names.py).
        """
        declared = self._declared_secrecy.get(key)
        return is_secret_key(key) if declared is None else declared

    @property
    def declared_keys(self) -> Collection[str]:
        """Every configuration key that some way of authentication knows, aliases included."""
        return self._declared_secrecy.keys()

    @cached_property
    def configuration_keys(self) -> tuple[ConfigurationKey, ...]:
        """The keys of all ways, then the common ones, each once, in display order."""
        ways = [key for way in self.authentication for key in way.fields]
        unique: dict[str, ConfigurationKey] = {}
        for key in [*ways, *common_configuration()]:
            unique.setdefault(key.key, key)
        return tuple(unique.values())

    @cached_property
    def preparation(self) -> str:
        """What connecting takes, in the element file's words or by the labels of the required keys."""
        if self.is_retired:
            return self.retirement
        if self.config_description:
            return self.config_description
        needs = "; or ".join(filter(None, (way.preparation for way in self.connectable_ways)))
        return f"To connect {self.name}, {needs}." if needs else self.description

    @cached_property
    def _declared_secrecy(self) -> dict[str, bool]:
        fields = [*common_configuration(), *(f for way in self.authentication for f in way.fields)]
        declared: dict[str, bool] = {}
        for field in fields:
            for name in field.names:
                declared[name] = declared.get(name, False) or field.is_secret
        return declared
