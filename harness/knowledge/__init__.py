"""What is known before the first question: project rules, the person's notes, skills."""
