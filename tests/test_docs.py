import inspect
import re
import tomllib
from pathlib import Path

import pytest

from instances import errors
from instances.provisioning.lifecycle.states import MOVES

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
PAGES = [*sorted(PROJECT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
CITED = re.compile(r"\bcontract (\d+(?:\.\d+)?)((?:(?:,| and) \d+(?:\.\d+)?)*)")
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


def test_the_readme_names_every_make_target_and_no_other():
    makefile = (PROJECT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", makefile, re.M)
    named = re.findall(r"\bmake ([a-z-]+)", (PROJECT / "README.md").read_text())
    assert set(named) == set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_to_a_section_leads_to_a_heading(page):
    links = re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text())
    missing = [
        f"{target}#{anchor}"
        for target, anchor in links
        if anchor not in _anchors(page.parent / target if target else page)
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_module_that_a_page_names_exists(page):
    named = set(re.findall(r"`([a-z_0-9][a-z_0-9/]*(?:/|\.py))`", page.read_text()))
    # Data is there once the program has run. Pages name the modules of a package without their folder.
    assert [one for one in named - {"var/"} if not _exists(one)] == []


def test_the_architecture_lists_the_layers_of_the_import_contract():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    [layers] = [one["layers"] for one in contracts if one["id"] == "layers"]
    table = (DOCS / "architecture.md").read_text().split("| layer, from the top |")[1]
    rows = re.findall(r"^\| (`.*?`) \|", table.split("\n\n")[0], re.M)
    assert [set(re.findall(r"\w+", row)) for row in rows] == [
        set(re.findall(r"\w+", layer)) for layer in layers
    ]


def test_every_section_of_the_contract_that_a_comment_cites_exists():
    contract = (DOCS / "contract.md").read_text()
    sections = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\b", contract, re.M))
    # Of what is not known, and of what is tested at least, each item may be cited.
    for number in ("12", "13"):
        [text] = re.findall(rf"^## {number}\..*?(?=^## |\Z)", contract, re.M | re.S)
        sections |= {f"{number}.{item}" for item in re.findall(r"^(\d+)\. ", text, re.M)}
    sources = [*(PROJECT / "instances").rglob("*.py"), *(PROJECT / "tests").rglob("*.py")]
    cited = {
        number
        for source in sources
        for found in CITED.findall(source.read_text())
        for number in re.findall(r"\d+(?:\.\d+)?", " ".join(found))
    }
    assert len(cited) > 20
    assert cited <= sections


def test_the_hooks_before_a_commit_run_what_make_check_runs():
    makefile = (PROJECT / "Makefile").read_text()
    [recipe] = re.findall(r"^check:.*\n((?:\t.*\n)+)", makefile, re.M)
    hooks = (PROJECT / ".pre-commit-config.yaml").read_text()
    assert _arguments(recipe.splitlines()) == _arguments(re.findall(r"entry: (.*)", hooks))


def _arguments(lines):
    """Of each command, without how it names its interpreter, and without templates, which hooks are given."""
    interpreter = (
        r"^\t@?|\$\([A-Z]+\)(?:/bin/)?|\.venv/bin/(?:python\b)?|^env |^make |-m |--no-p\S+"
    )
    return [re.sub(interpreter, "", line).split() for line in lines]


def test_the_life_of_an_instance_is_drawn_as_it_can_happen():
    drawn = re.findall(r"^  (\w+) --> (\w+)", (DOCS / "architecture.md").read_text(), re.M)
    assert len(drawn) > 10
    assert [(came, to) for came, to in drawn if to not in MOVES[came]] == []


def _exists(path):
    return (PROJECT / path).exists() or any(PROJECT.glob(f"instances/**/{path}"))


def _anchors(page):
    """How GitHub names the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
