"""One PostgreSQL database, read-only until told otherwise, for MCP clients."""
