"""One room a task: its file, features, head, answers and score."""
