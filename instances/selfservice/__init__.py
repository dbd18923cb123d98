"""Self-service at /connect/: staff connect accounts themselves, and see how each connection is."""
