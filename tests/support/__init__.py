"""Shared helpers of the tests: providers that really listen, factories, processes that end with the test."""
