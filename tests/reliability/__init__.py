"""Faults, bad input, hostile files."""
