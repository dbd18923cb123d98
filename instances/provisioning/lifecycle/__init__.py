"""The life cycle of an instance: states, tokens, checks, deletion, schedule."""
