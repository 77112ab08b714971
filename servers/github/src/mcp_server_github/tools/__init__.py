"""What a model can do with GitHub, one file a subject."""
