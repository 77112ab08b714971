"""Serving over a network: HTTP, authentication, limits, workers (extra `[http]`); the core never imports it."""
