"""Faults, bad input and hostile files."""
