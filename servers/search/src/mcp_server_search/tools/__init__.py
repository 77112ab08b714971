"""What a model can do, one file a subject."""
