"""Online quality: join a recommendation log with the interactions that followed, for each served version."""

from tfllmrec.monitoring.impressions import Impressions, read_recommendation_log
from tfllmrec.monitoring.join import monitoring_report
from tfllmrec.monitoring.report import MonitoringReport
from tfllmrec.monitoring.report_files import write_report
from tfllmrec.monitoring.tables import report_tables

__all__ = [
    "Impressions",
    "MonitoringReport",
    "monitoring_report",
    "read_recommendation_log",
    "report_tables",
    "write_report",
]
