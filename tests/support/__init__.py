"""Shared by tests: a clock, fakes of adapters and links, clients and servers."""
