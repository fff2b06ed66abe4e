"""Tests of fastmri_clgnet.losses."""
