"""OAuth trips: the way to a provider and back, links, and URLs for API clients."""
