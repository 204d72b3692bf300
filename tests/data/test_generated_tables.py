"""Generated tables of all kinds: read as PyArrow reads them, or refused."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

ROOT = Path(__file__).parents[2]


def test_no_table_is_misread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.robustness.generated_tables import GeneratedTables, generated_tables
    from benchmarks.robustness.tables import outcome

    outcomes = []

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(generated_tables())
    def read(tables: GeneratedTables) -> None:
        outcomes.append(outcome(tables))
        assert outcomes[-1] != "misread", tables.kinds

    read()
    assert outcomes.count("right") > 60
