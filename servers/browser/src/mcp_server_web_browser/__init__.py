"""A real browser in fenced-off, logged-out contexts, for MCP clients."""
