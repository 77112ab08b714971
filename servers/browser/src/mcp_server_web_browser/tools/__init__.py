"""What the model can do, a module for each subject."""
