"""Files of a monitoring report: monitoring.json and monitoring.png."""

import json
from dataclasses import asdict
from pathlib import Path

from tfllmrec.evaluation.report import plain
from tfllmrec.files import atomic_folder
from tfllmrec.monitoring.plot import plot_report
from tfllmrec.monitoring.report import MonitoringReport

REPORT_FILE, PLOT_FILE = "monitoring.json", "monitoring.png"


def write_report(folder: str | Path, report: MonitoringReport) -> None:
    """Write monitoring.json and monitoring.png to a new folder, atomically.

    Raises:
        InputError: If the folder exists or cannot be created.
    """
    with atomic_folder(Path(folder)) as hidden:
        text = json.dumps(plain(asdict(report)), indent=2, ensure_ascii=False, allow_nan=False)
        (hidden / REPORT_FILE).write_text(f"{text}\n", encoding="utf-8")
        plot_report(hidden / PLOT_FILE, report)
