"""Tests of fastmri_clgnet.conversion."""
