"""Access: organizations and secrets, permissions, handover, revealing tokens."""
