"""The life cycle of an instance: states, provisioning, tokens, checks, deletion and schedule."""
