"""The servers of this repository as a person meets them: `console` and `demo` of bootstrap.py."""
