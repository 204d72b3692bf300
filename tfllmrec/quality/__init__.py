"""How good is what was served: lists that a model server wrote down, joined with what users did next."""

from tfllmrec.quality.reading import Served, read_served
from tfllmrec.quality.report import QualityReport, quality_report, write_quality
from tfllmrec.quality.tables import quality_tables

__all__ = ["QualityReport", "Served", "quality_report", "quality_tables", "read_served", "write_quality"]
