"""Access: organizations and their secrets, permissions, handover, revealing tokens."""
