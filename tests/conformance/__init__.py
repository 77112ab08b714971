"""The server that the official conformance suite wants to find, on the shared package."""
