"""Tests of reading, reconstructing and writing one scan."""
