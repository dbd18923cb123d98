"""The life of one instance: states, tokens, checks, deletion, and what is due when."""
