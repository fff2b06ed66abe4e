"""Tests of fastmri_clgnet.models.comparison."""
