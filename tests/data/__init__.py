"""Tests of fastmri_clgnet.data."""
