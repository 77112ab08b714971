"""What a model can do with a database, one file a subject."""
