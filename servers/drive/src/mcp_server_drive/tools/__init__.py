"""What a model can do with Drive, one file a subject."""
