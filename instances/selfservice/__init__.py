"""Self-service at /connect/: staff connect accounts and see the status of each connection."""
