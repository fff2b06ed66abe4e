"""What the evaluate command is made of: metrics, statistics, tables."""
