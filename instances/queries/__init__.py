"""How tables are read and written quickly: statements built once, updates of many rows, cursor pages."""
