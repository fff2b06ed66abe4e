"""Tests of fastmri_clgnet.reporting."""
