"""Texts that customers and staff read are marked for translation, in templates and in views.

Texts that only operators read (the admin) need no mark.
"""

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
# Packages with pages, by who reads them.
MARKED = {"callbacks", "pages", "sandbox", "selfservice", "sign_in"}
OPERATORS_ONLY = {"admin", "bulk"}
# Templates that only operators read: the admin, its theme, and the API documentation.
OPERATORS_TEMPLATES = {"admin", "unfold", "ninja"}
TEMPLATES = sorted(
    path
    for path in PROJECT.glob("templates/**/*.html")
    if path.relative_to(PROJECT / "templates").parts[0] not in OPERATORS_TEMPLATES
)
# The records of the practice CRM are data.
DATA = {"crm_rows.py"}
VIEWS = sorted(
    path
    for package in MARKED
    for path in (PROJECT / "instances" / package).rglob("*.py")
    if path.name not in DATA
)
# The functions of messages.
MESSAGE_FUNCTIONS = {"debug", "info", "success", "warning", "error", "add_message"}
# A name, and a unit.
UNTRANSLATED = {"Instance Manager", "| Instance Manager", "Sandbox", "ms"}


def unmarked_in(template: str) -> list[str]:
    rest = re.sub(r"\{% comment .*?%\}.*?\{% endcomment %\}|\{#.*?#\}", "", template, flags=re.S)
    rest = re.sub(r"\{% blocktranslate.*?\{% endblocktranslate %\}", "", rest, flags=re.S)
    # The name of an icon is drawn as an image.
    rest = re.sub(r'<span class="[^"]*material-symbols[^"]*".*?</span>', "", rest, flags=re.S)
    rest = re.sub(r"<(script|style|code|pre)\b.*?</\1>|<!.*?>", "", rest, flags=re.S)
    attributes = re.findall(
        r'\b(?:alt|aria-label|placeholder|title)="([^"{]*[^\W\d_]{2}[^"{]*)"', rest
    )
    rest = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", rest, flags=re.S)
    texts = re.sub(r"<[^>]*>", "\n", rest).splitlines()
    stripped = [text.strip() for text in [*attributes, *texts]]
    return [
        text for text in stripped if re.search(r"[^\W\d_]{2}", text) and text not in UNTRANSLATED
    ]


def unmarked_in_view(source: str) -> list[str]:
    """Return unmarked literals that are passed to messages or to the context of a page."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _is_message(node.func):
            found += [ast.unparse(argument) for argument in node.args if _is_text(argument)]
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found += [
                ast.unparse(value)
                for key, value in pairs
                if getattr(key, "value", "") in {"title", "effect", "advice"} and _is_text(value)
            ]
    return found


def _is_message(called: ast.expr) -> bool:
    module = getattr(getattr(called, "value", None), "id", "")
    return module == "messages" and getattr(called, "attr", "") in MESSAGE_FUNCTIONS


def _is_text(node: ast.AST) -> bool:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    literals = [part.value for part in parts if isinstance(part, ast.Constant)]
    return any(isinstance(text, str) and re.search(r"[^\W\d_]", text) for text in literals)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_text_of_a_template_is_marked(path):
    assert unmarked_in(path.read_text()) == []


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_text_of_a_view_is_marked(path):
    assert unmarked_in_view(path.read_text()) == []


def test_every_package_with_pages_says_who_reads_them():
    """A new package with pages must be added to MARKED or OPERATORS_ONLY."""
    has_pages = re.compile(r"\b(render|render_page|TemplateResponse|messages\.\w+)\(")
    packages = {
        path.relative_to(PROJECT / "instances").parts[0]
        for path in (PROJECT / "instances").rglob("*.py")
        if has_pages.search(path.read_text())
    }
    assert packages - OPERATORS_ONLY <= MARKED


def test_unmarked_texts_are_found():
    assert unmarked_in('<p title="Look">Not {{ at }} marked</p>{% translate "Marked" %}') == [
        "Look",
        "Not  marked",
    ]
    assert unmarked_in_view('messages.error(request, f"{name} is not")') == ["f'{name} is not'"]
