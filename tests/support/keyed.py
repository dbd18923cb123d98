"""An element that authenticates with an API key."""


def keyed_definition(url):
    return {
        "key": "probed",
        "id": 900004,
        "name": "Probed",
        "hub": "crm",
        "description": "An element whose key is proved.",
        "authentication": [
            {
                "type": "apiKey",
                "fields": [
                    {"key": "api.key", "label": "API key", "required": True, "secret": True},
                ],
                "probe": {
                    "url": f"{url}/probe",
                    "scheme": "headers",
                    "headers": {"X-Api-Key": "{api.key}"},
                },
            }
        ],
    }
