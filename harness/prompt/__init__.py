"""What the model sees before and around the conversation."""
