"""Tests of fastmri_clgnet.evaluation."""
