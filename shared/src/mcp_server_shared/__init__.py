"""What every server of this family shares. Start reading at `server.py`."""
