"""Pages without a sign-in: the OAuth callback, authorization links, error pages."""
