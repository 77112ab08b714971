"""Files in the directories you name, and nothing outside them, for MCP clients."""
