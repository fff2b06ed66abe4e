"""Tests of fastmri_clgnet.formats."""
