"""The benchmarks can be imported and parse their options; commands in documents name modules that exist."""

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATHS = sorted(path for path in (ROOT / "benchmarks").rglob("*.py") if path.name != "__init__.py")
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in PATHS}
COMMANDS = [name for name, path in MODULES.items() if "__main__" in path.read_text(encoding="utf-8")]


@pytest.fixture(autouse=True)
def root(monkeypatch):
    """The root of the repository on the module search path, as for `python -m benchmarks...`."""
    monkeypatch.syspath_prepend(ROOT)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_the_options(name, monkeypatch, capsys):
    module = import_module(name)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_the_docstring_has_the_command(name):
    assert f"    python -m {name}" in MODULES[name].read_text(encoding="utf-8")


def mentions(pattern, *files):
    """Return the strings in tracked files that match an extended regular expression."""
    command = ["git", "grep", "-hoE", pattern, "--", *files]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines())


def test_commands_in_documents_name_benchmarks():
    commands = mentions(r"python -m benchmarks\.[a-z0-9_.]*[a-z0-9_]", "*.md", "*.ipynb", "*.py")
    names = {command.removeprefix("python -m ") for command in commands}
    assert names >= set(COMMANDS)
    assert not [name for name in names if find_spec(name) is None]


def test_paths_in_documents_exist():
    paths = mentions(r"benchmarks/[a-z0-9_/-]+\.(py|json|md)", "*.md", "*.ipynb")
    assert not [path for path in paths if not any((folder / path).exists() for folder in (ROOT, ROOT / "docs"))]
