"""Tests of fastmri_clgnet.check."""
