"""One Slack workspace, read-only until told otherwise, for MCP clients."""
