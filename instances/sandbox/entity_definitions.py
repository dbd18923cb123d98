"""EntityDefinitions: what the CRM says about its objects (Dataverse Web API)."""

import re
from typing import Any

from instances.sandbox.crm_store import CrmError
from instances.sandbox.entities import Column, Entity, entities, entity_names

_PATH = re.compile(
    r"EntityDefinitions(?:\(LogicalName='([a-z0-9_]+)'\)(?:/(Attributes|ManyToOneRelationships)"
    r"(?:/Microsoft\.Dynamics\.CRM\.(DateTime|Picklist)AttributeMetadata)?)?)?"
)


def answer_definitions(path: str, *, select: str) -> dict[str, Any]:
    """Answer a path below the base URL that begins with EntityDefinitions. Raises CrmError."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise CrmError(404, f"Resource not found for the segment '{path}'.")
    name, part, kind = found.groups()
    if name is None:
        return {"value": [_selected(_definition(entity), select) for entity in entities()]}
    entity = entity_names().get(name)
    if entity is None:
        message = f"Could not find an entity with name {name} and object type code -1."
        raise CrmError(404, message, "0x80060888")
    if part is None:
        return _selected(_definition(entity), select)
    if part == "ManyToOneRelationships":
        return {"value": [_selected(row, select) for row in _relationships(entity)]}
    columns = [column for column in entity.columns if _is_of_kind(column, kind)]
    attributes = [_attribute(entity, column) for column in columns]
    if kind is None:
        # Names that belong to a lookup are listed too, but are no properties of records.
        attributes += [
            attribute
            | {"LogicalName": f"{attribute['LogicalName']}name", "AttributeType": "Virtual"}
            | {"AttributeOf": attribute["LogicalName"]}
            for attribute, column in zip(attributes, columns, strict=True)
            if column.targets
        ]
    return {"value": [_selected(attribute, select) for attribute in attributes]}


def _is_of_kind(column: Column, kind: str | None) -> bool:
    types = {"DateTime": {"DateTime", "DateOnly"}, "Picklist": {"Picklist"}}
    return kind is None or column.type in types[kind]


def _selected(document: dict[str, Any], select: str) -> dict[str, Any]:
    if not select:
        return document
    names = [name.strip() for name in select.split(",")]
    if unknown := [name for name in names if name not in document]:
        raise CrmError(400, f"Could not find a property named '{unknown[0]}'.")
    return {name: document[name] for name in names} | {
        name: value for name, value in document.items() if name in {"OptionSet", "MetadataId"}
    }


def _definition(entity: Entity) -> dict[str, Any]:
    return {
        "LogicalName": entity.name,
        "EntitySetName": entity.set_name,
        "PrimaryIdAttribute": entity.id_column,
        "DisplayName": _label(entity.label),
        "IsCustomEntity": False,
    }


def _attribute(entity: Entity, column: Column) -> dict[str, Any]:
    is_written = not (column.is_read_only or entity.is_read_only)
    document: dict[str, Any] = {
        "LogicalName": column.name,
        "AttributeType": _attribute_type(column),
        "AttributeOf": None,
        "DisplayName": _label(column.name.capitalize()),
        "IsCustomAttribute": column.name.startswith("new_"),
        "IsValidForCreate": is_written,
        "IsValidForUpdate": is_written,
        "IsValidForRead": True,
        "RequiredLevel": {"Value": "ApplicationRequired" if column.is_required else "None"},
    }
    if column.type in {"DateTime", "DateOnly"}:
        behaviour = "DateOnly" if column.type == "DateOnly" else "UserLocal"
        document |= {"DateTimeBehavior": {"Value": behaviour}}
    if column.choices and column.type == "Picklist":
        options = [{"Value": v, "Label": _label(label)} for v, label in column.choices.items()]
        document |= {"OptionSet": {"Options": options}}
    return document


def _attribute_type(column: Column) -> str:
    if "account" in column.targets and "contact" in column.targets and len(column.targets) == 2:
        return "Customer"
    return "DateTime" if column.type == "DateOnly" else column.type


def _relationships(entity: Entity) -> list[dict[str, Any]]:
    return [
        {
            "ReferencingAttribute": column.name,
            "ReferencedEntity": target,
            "ReferencingEntityNavigationPropertyName": column.navigation_property(target),
        }
        for column in entity.columns
        for target in column.targets
    ]


def _label(text: str) -> dict[str, Any]:
    return {"UserLocalizedLabel": {"Label": text, "LanguageCode": 1033}}
