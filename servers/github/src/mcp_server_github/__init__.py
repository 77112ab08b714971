"""GitHub and GitHub Enterprise, read-only until told otherwise, for MCP clients."""
