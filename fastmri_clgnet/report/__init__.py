"""The report: one self-contained HTML page about trained models and their reconstructions."""
