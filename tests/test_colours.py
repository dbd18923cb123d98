"""The colours of tokens.css: every pair that carries text or meaning has the contrast that WCAG 2.2 AA asks for."""

import re
from itertools import product
from pathlib import Path

import pytest

TOKENS = Path(__file__).parent.parent / "instances/static/instances/tokens.css"
SCHEMES = ("light", "dark")
TEXT = 4.5  # WCAG 1.4.3
MARK = 3.0  # WCAG 1.4.11
SURFACES = ("page", "sunken", "raised", "hover", "selected")
MEANINGS = ("healthy", "attention", "broken", "unverified", "paused", "info")
SOFT = tuple(f"{meaning}-soft" for meaning in MEANINGS)
ON_BUTTONS = ("button", "button-hover", "danger-button", "danger-button-hover")
PAIRS = [
    *[(text, ground, TEXT) for text in ("ink", "text", "subtle") for ground in (*SURFACES, *SOFT)],
    *[
        (f"{meaning}-ink", ground, TEXT)
        for meaning in MEANINGS
        for ground in (*SURFACES, f"{meaning}-soft")
    ],
    *[
        (f"{meaning}-solid", ground, MARK)
        for meaning in MEANINGS
        for ground in ("page", "sunken", "raised", "hover", f"{meaning}-soft")
    ],
    *[(text, ground, TEXT) for text in ("accent", "accent-strong") for ground in SURFACES],
    ("accent-strong", "accent-soft", TEXT),
    *[("on-button", button, TEXT) for button in ON_BUTTONS],
    *[("edge", surface, MARK) for surface in ("page", "sunken", "raised")],
    *[("focus", surface, MARK) for surface in SURFACES],
]


def read_colours() -> dict[str, dict[str, str]]:
    """Return the colour of each token in both schemes."""
    found: dict[str, dict[str, str]] = {scheme: {} for scheme in SCHEMES}
    css = TOKENS.read_text()
    for name, light, dark in re.findall(r"--im-([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", css):
        found["light"][name], found["dark"][name] = light, dark
    for name, both in re.findall(r"--im-([\w-]+): (#\w{6});", css):
        found["light"][name] = found["dark"][name] = both
    return found


COLOURS = read_colours()


def luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2.2) of #rrggbb."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(
    ("scheme", "pair"),
    [
        pytest.param(scheme, pair, id=f"{scheme}-{pair[0]}-on-{pair[1]}")
        for scheme, pair in product(SCHEMES, PAIRS)
    ],
)
def test_every_pair_of_colours_has_enough_contrast(
    scheme: str, pair: tuple[str, str, float]
) -> None:
    front, ground, needed = pair

    measured = contrast(COLOURS[scheme][front], COLOURS[scheme][ground])

    assert measured >= needed, f"{measured:.2f}"
