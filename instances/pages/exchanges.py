"""A recorded exchange for display."""

import json
from dataclasses import dataclass

from django.utils.translation import gettext as _

from instances.models import Interaction


@dataclass(frozen=True, slots=True)
class Exchange:
    """An interaction, and the title and text of each of its parts that is not empty; JSON is indented."""

    interaction: Interaction
    parts: list[tuple[str, str]]

    @property
    def status(self) -> str:
        """The HTTP status, or what happened without one."""
        if self.interaction.status:
            return str(self.interaction.status)
        is_received = self.interaction.direction == Interaction.Direction.IN
        return _("received") if is_received else _("no response")

    @property
    def colour(self) -> str:
        return "danger" if self.interaction.is_failure else "success"


def exchange_of(interaction: Interaction) -> Exchange:
    parts = [
        (_("Request headers"), _headers(interaction.request_headers)),
        (_("Request body"), _indented(interaction.request_body)),
        (_("Response headers"), _headers(interaction.response_headers)),
        (_("Response body"), _indented(interaction.response_body)),
    ]
    return Exchange(interaction, [(title, text) for title, text in parts if text])


def _headers(headers: dict[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers.items())


def _indented(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
