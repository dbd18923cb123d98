"""Pages that need no sign-in: the OAuth callback, authorization links, error pages."""
