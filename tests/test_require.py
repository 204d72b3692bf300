import pytest
from require import require, require_program


def test_met_requirements_pass(monkeypatch):
    monkeypatch.setenv("CI", "true")
    require(True, "never shown")
    assert require_program("sh").endswith("sh")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_program_skips_and_fails_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no-such-program is not installed"):
        require_program("no-such-program")
