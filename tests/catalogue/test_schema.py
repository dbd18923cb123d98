"""The schema for editors is that of the program, and every shipped file is valid by it."""

import json
import tomllib

import jsonschema_rs
from django.core.management import call_command

from instances.catalogue.loading import SHIPPED_FOLDER
from instances.catalogue.schema import SCHEMA_FILE

UPDATE = "Write it anew: manage.py element_schema > instances/catalogue/elements.schema.json"


def errors_in(document):
    """The errors of a TOML document. Editors read its dates as strings."""
    schema = json.loads(SCHEMA_FILE.read_text())
    as_json = json.loads(json.dumps(document, default=str))
    return [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(as_json)]


def test_the_shipped_schema_is_what_the_command_prints(capsys):
    call_command("element_schema")
    assert SCHEMA_FILE.read_text() == capsys.readouterr().out, UPDATE


def test_every_shipped_file_is_valid():
    files = {path.stem: tomllib.loads(path.read_text()) for path in SHIPPED_FOLDER.glob("*.toml")}
    assert {key: errors for key, one in files.items() if (errors := errors_in(one))} == {}


def test_a_misspelled_key_and_a_wrong_value_are_errors():
    stripe = tomllib.loads((SHIPPED_FOLDER / "stripe.toml").read_text())
    assert errors_in(stripe | {"statos": "retired"})
    assert errors_in(stripe | {"status": "gone"})
    assert errors_in(stripe | {"sunset": {"date": "2027-01-01"}})
