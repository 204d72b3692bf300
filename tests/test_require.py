import pytest
from require import require, require_packages, require_program


def test_met_requirements_pass(monkeypatch):
    monkeypatch.setenv("CI", "true")
    require(True, "never shown")
    assert require_program("sh").endswith("sh")
    require_packages("numpy", "pandas", install="never shown")


OUTCOMES = pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)], ids=["CI", "elsewhere"]
)


@OUTCOMES
def test_a_missing_program_skips_and_fails_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no-such-program is not installed"):
        require_program("no-such-program")


@OUTCOMES
def test_a_missing_package_skips_and_fails_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no_such_package not installed: pip install it"):
        require_packages("numpy", "no_such_package", install="pip install it")
