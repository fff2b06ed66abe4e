"""The authors' measurements: speed, counts, the paper's tables, and the quality of weights."""
