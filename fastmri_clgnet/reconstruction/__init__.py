"""What the reconstruct command is made of: its files, and the work of one process."""
