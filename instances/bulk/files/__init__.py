"""Read and write files of instances; nothing here knows the database."""
