"""Keys and ciphers: the only importer of cryptography."""
