"""What is published of each package, and how it is made from the sources."""
