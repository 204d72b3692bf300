"""Report of the checks, as a table and as JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tfllmrec.data.checks.findings import Finding, quantity


@dataclass(frozen=True)
class CheckReport:
    """Findings in the tables of a data set.

    Attributes:
        summary: size of the data set, and measures of its skew.
        findings: kinds of oddities; empty if there are none.
    """

    summary: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def status(self) -> int:
        """Exit status: 0 without findings, 1 with warnings, 2 if training refuses the tables."""
        return max((2 if finding.refused else 1 for finding in self.findings), default=0)

    def to_json(self) -> dict[str, Any]:
        """Return the report as values of JSON."""
        return {"summary": self.summary, "findings": [asdict(finding) for finding in self.findings]}

    def headline(self) -> str:
        """Return the size of the data set as a sentence."""
        sizes = ", ".join(quantity(int(self.summary[name]), name) for name in ("interactions", "users", "items"))
        return f"{sizes}: {quantity(len(self.findings), 'findings') if self.findings else 'nothing odd'}"

    def table(self) -> Table:
        """Return the findings as a table for a terminal of 60 columns or more, those that training refuses first."""
        table = Table(box=SIMPLE_HEAD, header_style="bold", show_lines=True)
        table.add_column("finding", width=26)
        table.add_column("advice and first examples", overflow="fold")
        for finding in sorted(self.findings, key=lambda finding: not finding.refused):
            table.add_row(_left(finding), _right(finding))
        return table


def _left(finding: Finding) -> Text:
    text = Text.assemble((finding.name, "bold red" if finding.refused else "bold"))
    text.append(f"\n{quantity(finding.count, finding.unit)} ({_percent(finding.share)})")
    return text.append("\ntraining refuses this", "red") if finding.refused else text


def _right(finding: Finding) -> Text:
    return Text.assemble(finding.advice, ("\n" + "; ".join(finding.examples), "dim"))


def _percent(share: float) -> str:
    """Return a share in percent; a share that is not 0 or 1 never looks so."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{min(share, 0.999) if share < 1 else 1:.1%}".replace("%", " %")
