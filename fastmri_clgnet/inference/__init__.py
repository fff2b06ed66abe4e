"""From trained weights to images: `load`, `reconstruct` (folders), `reconstruct_scan`."""
