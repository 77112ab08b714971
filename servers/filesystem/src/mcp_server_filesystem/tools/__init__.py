"""What a model can do with files. Names, docstrings, descriptions and error texts are prompts."""
