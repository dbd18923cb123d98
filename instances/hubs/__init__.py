"""Using an instance: what programs do with a connection through its Element token."""
