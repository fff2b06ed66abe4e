"""What the training command is made of: arguments, checkpoints, results."""
