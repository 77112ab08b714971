"""A small server for the tests of the shared package: notes in memory, and tools that misbehave on request."""
