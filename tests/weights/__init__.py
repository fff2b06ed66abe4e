"""Tests of fastmri_clgnet.weights."""
