"""How good is what was served: lists that a model server wrote down, joined with what users did next."""

from tfllmrec.monitoring.reading import Served, read_served
from tfllmrec.monitoring.report import QualityReport, quality_report, write_quality
from tfllmrec.monitoring.tables import quality_tables

__all__ = ["QualityReport", "Served", "quality_report", "quality_tables", "read_served", "write_quality"]
