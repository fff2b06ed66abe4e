"""What the authors measure: speed, counts, the paper's tables, and what weights are worth."""
