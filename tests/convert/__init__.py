"""Tests of fastmri_clgnet.convert."""
