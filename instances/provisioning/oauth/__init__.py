"""OAuth: send browsers to a provider, handle the callback, authorization links, URLs for API clients."""
