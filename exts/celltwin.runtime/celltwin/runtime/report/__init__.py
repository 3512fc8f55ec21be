"""The report of a run, written from what the run recorded."""

from .writer import ReportWriter

__all__ = ["ReportWriter"]
