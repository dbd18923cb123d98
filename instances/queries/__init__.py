"""Read and write tables quickly: prepared statements, bulk updates, cursor pages."""
