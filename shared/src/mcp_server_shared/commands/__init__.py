"""Commands other than serving: `check`, `call`, `token`, `tools`; imported only when used."""
