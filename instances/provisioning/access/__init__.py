"""Who may do what: organizations, roles, tokens."""
