"""Tests of the banding package."""
