"""Tests of fastmri_clgnet.benchmark."""
