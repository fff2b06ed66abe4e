"""Tests of fastmri_clgnet.training."""
