"""Commands other than serving: `check`, `call`, `tools`; imported only when used."""
