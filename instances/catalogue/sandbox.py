"""What the built-in sandbox provider publishes about itself, for it and for those that point elements at it."""

SANDBOX_CLIENT_ID = "sandbox-client"
SANDBOX_CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105  published: it opens nothing but the sandbox
SANDBOX_USERNAME = "user@sandbox.example"
SANDBOX_PASSWORD = "sandbox-password"  # noqa: S105  published, as above

_MICROSOFT_OVERRIDES = {
    "https://login.microsoftonline.com/": "/sandbox/",
    "https://{dynamics.tenant}/": "/sandbox/",
}
# Element key to what url_templates.overridden() takes: URL-template prefix to its replacement.
SANDBOX_ENDPOINT_OVERRIDES: dict[str, dict[str, str]] = {
    "dynamicscrm": _MICROSOFT_OVERRIDES,
    "dynamicscrmadfs": _MICROSOFT_OVERRIDES,
}
