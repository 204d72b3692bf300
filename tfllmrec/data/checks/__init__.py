"""Checks that find oddities in the tables of a data set, in memory that suits tens of millions of rows."""

from tfllmrec.data.checks.findings import Finding
from tfllmrec.data.checks.folder import check_folder
from tfllmrec.data.checks.report import CheckReport

__all__ = ["CheckReport", "Finding", "check_folder"]
