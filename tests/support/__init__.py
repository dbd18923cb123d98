"""What tests share: providers that listen, rows that are made, processes that end with the test."""
