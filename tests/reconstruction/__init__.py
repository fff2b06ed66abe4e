"""Tests of fastmri_clgnet.reconstruction."""
