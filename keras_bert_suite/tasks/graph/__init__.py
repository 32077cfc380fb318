"""What tasks compute with TensorFlow: features of their rows, answers in the graph."""
