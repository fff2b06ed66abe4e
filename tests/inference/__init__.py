"""Tests of fastmri_clgnet.inference."""
