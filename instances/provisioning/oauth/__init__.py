"""OAuth: start authorizations, handle callbacks, links, and URLs for API clients."""
