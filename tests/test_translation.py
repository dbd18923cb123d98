"""Every text of a page is marked for translation: what a template or a view says, in words or in an attribute."""

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
TEMPLATES = sorted(
    path
    for path in [*PROJECT.glob("templates/**/*.html"), *PROJECT.glob("instances/**/*.html")]
    # Another's page, and pages that tell what this program's own name is.
    if "ninja" not in path.parts
)
VIEWS = sorted(
    path
    for folder in ("admin", "views", "sandbox")
    for path in (PROJECT / "instances" / folder).rglob("*.py")
    if "migrations" not in path.parts
)
# What a reader is told through.
TELLING = {"debug", "info", "success", "warning", "error", "add_message"}
# A name, and a unit.
UNTRANSLATED = {"Instance Manager", "| Instance Manager", "Sandbox", "ms"}


def unmarked_in(template: str) -> list[str]:
    rest = re.sub(r"\{% comment .*?%\}.*?\{% endcomment %\}|\{#.*?#\}", "", template, flags=re.S)
    rest = re.sub(r"\{% blocktranslate.*?\{% endblocktranslate %\}", "", rest, flags=re.S)
    # An icon's name is drawn, not read.
    rest = re.sub(r'<span class="[^"]*material-symbols[^"]*".*?</span>', "", rest, flags=re.S)
    rest = re.sub(r"<(script|style|code|pre)\b.*?</\1>|<!.*?>", "", rest, flags=re.S)
    attributes = re.findall(
        r'\b(?:alt|aria-label|placeholder|title)="([^"{]*[^\W\d_]{2}[^"{]*)"', rest
    )
    rest = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", rest, flags=re.S)
    texts = re.sub(r"<[^>]*>", "\n", rest).splitlines()
    said = [text.strip() for text in [*attributes, *texts]]
    return [text for text in said if re.search(r"[^\W\d_]{2}", text) and text not in UNTRANSLATED]


def told_unmarked_in(source: str) -> list[str]:
    """Literals that are given to messages or to a page's title as they are."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _is_telling(node.func):
            found += [ast.unparse(one) for one in node.args if _is_text(one)]
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found += [
                ast.unparse(value)
                for key, value in pairs
                if getattr(key, "value", "") in {"title", "effect", "advice"} and _is_text(value)
            ]
    return found


def _is_telling(called: ast.expr) -> bool:
    of = getattr(getattr(called, "value", None), "id", "")
    return of == "messages" and getattr(called, "attr", "") in TELLING


def _is_text(node: ast.AST) -> bool:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    literals = [one.value for one in parts if isinstance(one, ast.Constant)]
    return any(isinstance(one, str) and re.search(r"[^\W\d_]", one) for one in literals)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_text_of_a_template_is_marked(path):
    assert unmarked_in(path.read_text()) == []


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_text_that_a_view_tells_is_marked(path):
    assert told_unmarked_in(path.read_text()) == []


def test_the_search_finds_what_is_not_marked():
    assert unmarked_in('<p title="Look">Not {{ at }} marked</p>{% translate "Marked" %}') == [
        "Look",
        "Not  marked",
    ]
    assert told_unmarked_in('messages.error(request, f"{name} is not")') == ["f'{name} is not'"]
