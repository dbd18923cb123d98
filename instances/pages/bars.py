"""Shares of a whole, as parts of a bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The length of a whole bar, the gap between two parts, and the shortest part that can be seen.
UNITS = 1_000
GAP = 3
SHORTEST = 4


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar and its entry in the legend. start and width are in UNITS."""

    meaning: str
    label: "StrOrPromise"
    count: int
    url: str = ""
    start: int = 0
    width: int = 0


def bar_of(parts: Sequence[Part], *, total: int) -> list[Part]:
    """Place the parts side by side; empty ones are left out.

    total: the sum of all parts, or more, if a part of the bar stays empty.
    """
    shown = [part for part in parts if part.count]
    room = UNITS - GAP * (len(shown) - 1)
    widths = [max(room * part.count // total, SHORTEST) for part in shown]
    # The longest gets what rounding left over, and gives what the shortest gained.
    if widths:
        due = room * sum(part.count for part in shown) // total
        widths[widths.index(max(widths))] += due - sum(widths)
    placed, start = [], 0
    for part, width in zip(shown, widths, strict=True):
        placed.append(Part(part.meaning, part.label, part.count, part.url, start, width))
        start += width + GAP
    return placed


def sentence_of(parts: Sequence[Part]) -> str:
    """Return the same in words."""
    return ", ".join(f"{part.count:,} {part.label}" for part in parts)
