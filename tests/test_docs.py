import inspect
import re
from pathlib import Path

import pytest

from instances import errors
from instances.provisioning.states import MOVES

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
PAGES = [PROJECT / "README.md", *sorted(DOCS.rglob("*.md"))]
COMMANDS = sorted(
    path.stem for path in (PROJECT / "instances/management/commands").glob("[a-z]*.py")
)
ERRORS = sorted(
    name
    for name, error in vars(errors).items()
    if inspect.isclass(error)
    and issubclass(error, errors.InstancesError)
    and error is not errors.InstancesError
)


def test_every_setting_that_is_read_is_explained_and_no_other():
    source = (PROJECT / "config/settings.py").read_text()
    read = set(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', source))
    explained = set(re.findall(r"^\| `([A-Z_]+)` \|", (DOCS / "settings.md").read_text(), re.M))
    assert explained == read


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_readme(command):
    assert f"`{command}" in (PROJECT / "README.md").read_text()


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_stands_in_the_glossary(error):
    assert f"| `{error}` |" in (DOCS / "glossary.md").read_text()


def test_the_readme_counts_the_shipped_elements_right():
    shipped = list((PROJECT / "instances/catalogue/elements").glob("*.toml"))
    assert f"a catalogue of {len(shipped)} elements" in (PROJECT / "README.md").read_text()


def test_every_make_target_that_the_readme_names_exists():
    makefile = (PROJECT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", makefile, re.M)
    named = re.findall(r"\bmake ([a-z-]+)", (PROJECT / "README.md").read_text())
    assert {"run", "test"} <= set(named) <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_life_of_an_instance_is_drawn_as_it_can_happen():
    drawn = re.findall(r"^  (\w+) --> (\w+)", (DOCS / "architecture.md").read_text(), re.M)
    assert len(drawn) > 10
    assert [(came, to) for came, to in drawn if to not in MOVES[came]] == []
