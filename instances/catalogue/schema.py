"""The JSON schema of element files, with which editors complete and check them."""

import json
from pathlib import Path

from instances.catalogue.definition import ElementDefinition

SCHEMA_FILE = Path(__file__).with_name("elements.schema.json")


def element_schema() -> str:
    """Return the JSON schema (2020-12) of an element file, as text.

    It knows the shape of a file; sync_elements also checks its content (validation.py).
    """
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ElementDefinition.model_json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
