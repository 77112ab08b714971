"""Google Drive, Docs, Sheets and Slides, read-only until told otherwise, for MCP clients."""
