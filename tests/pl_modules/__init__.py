"""Tests of fastmri_clgnet.pl_modules."""
