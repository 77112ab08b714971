"""Web search and page reading behind a fence, for MCP clients."""
