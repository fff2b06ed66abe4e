"""Tests of fastmri_clgnet.benchmarks."""
