"""The command `python -m fastmri_clgnet.convert`: other data into fastMRI's format.

A file a source (`cc359`, `numpy_arrays`, `bart`, `ismrmrd_raw`, `nifti`), each of which reads one
volume; what they share is what happens to that volume: `splitting`, `writing`, `runner`.
"""
