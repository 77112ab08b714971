"""A small web on loopback: sites that behave, sites that do not, and fakes of the providers' APIs."""
