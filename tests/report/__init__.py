"""Tests of fastmri_clgnet.report."""
