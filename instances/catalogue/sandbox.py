"""Public constants of the built-in sandbox provider."""

SANDBOX_CLIENT_ID = "sandbox-client"
SANDBOX_CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105  public: it only works in the sandbox
SANDBOX_USERNAME = "user@sandbox.example"
SANDBOX_PASSWORD = "sandbox-password"  # noqa: S105  public, as above

# Public too: a secret that has expired.
SANDBOX_EXPIRED_SECRET = "sandbox-expired-secret"  # noqa: S105

_MICROSOFT_OVERRIDES = {
    "https://login.microsoftonline.com/": "/sandbox/",
    "https://login.microsoftonline.us/": "/sandbox/",
    "https://login.partner.microsoftonline.cn/": "/sandbox/",
    "https://{dynamics.adfs.host}/": "/sandbox/",
    "https://globaldisco.crm.dynamics.com/": "/sandbox/",
    "https://globaldisco.crm.microsoftdynamics.us/": "/sandbox/",
    "https://globaldisco.crm.dynamics.cn/": "/sandbox/",
    "https://{dynamics.tenant}/": "/sandbox/",
}
# By element key, the overrides for templates.overridden(): URL template prefixes and their replacements.
SANDBOX_ENDPOINT_OVERRIDES: dict[str, dict[str, str]] = {
    "dynamicscrm": _MICROSOFT_OVERRIDES,
    "dynamicscrmadfs": _MICROSOFT_OVERRIDES,
}
