"""What a model can do in a Slack workspace, one file a subject."""
