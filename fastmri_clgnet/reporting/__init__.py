"""The report: one self-contained HTML page about trained models and their reconstructions."""

from fastmri_clgnet.reporting.build import Report, report

__all__ = ["Report", "report"]
