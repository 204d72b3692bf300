import json
import re
import sys
import tomllib
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tutorials"
TUTORIALS = sorted(FOLDER.glob("*.ipynb"))
ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
FAST = "EPOCHS = 1"  # replaces the cell of parameters

every_tutorial = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def tagged_cell(notebook, tag):
    (cell,) = (cell for cell in notebook.cells if tag in cell.metadata.get("tags", ()))
    return cell


def install_command(notebook):
    """Return the packages of the `%pip` line, and the code after it."""
    source = tagged_cell(notebook, "install").source.replace("\\\n", " ")
    (command,) = re.findall(r"^%pip install -q (.*)$", source, re.MULTILINE)
    return re.findall(r'"[^"]+"|\S+', command), source[source.index(command) + len(command) :]


@pytest.fixture
def this_python(tmp_path, monkeypatch):
    """Provide a kernel "python3" that is the interpreter of the tests, with the default environment of a reader."""
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "The tests' Python", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))  # is searched first
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)  # would hide messages that a reader sees


def test_the_folder_has_tutorials():
    assert TUTORIALS


@pytest.mark.slow
@every_tutorial
@pytest.mark.usefixtures("this_python")
def test_tutorials_run_and_print_nothing_on_stderr(path, tmp_path):
    notebook = read(path)
    notebook.cells.remove(tagged_cell(notebook, "install"))
    tagged_cell(notebook, "parameters").source = FAST
    work = tmp_path / "work"
    work.mkdir()
    NotebookClient(notebook, kernel_name="python3", timeout=600, resources={"metadata": {"path": str(work)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert outputs
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


@every_tutorial
def test_tutorials_are_stored_without_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert notebook.metadata.kernelspec.name == "python3"


@every_tutorial
def test_tutorials_open_in_colab_and_install_from_the_repository(path):
    notebook = read(path)
    in_colab = f"https://colab.research.google.com/{ADDRESS.removeprefix('https://').replace('.com', '')}/blob/main"
    assert f"({in_colab}/tutorials/{path.name})" in notebook.cells[0].source
    assert path.read_text(encoding="utf-8").count(ADDRESS) == 1
    assert f'REPOSITORY = "{ADDRESS}"' in tagged_cell(notebook, "install").source


@every_tutorial
def test_the_install_cell_pins_every_package(path):
    packages, _ = install_command(read(path))
    own, *others = sorted(packages, key=lambda package: "git+{REPOSITORY}" not in package)
    assert own.startswith('"tfllmrec')
    assert others
    assert all(re.fullmatch(r"[\w-]+(==|~=)[\d.]+", package) for package in others)


@every_tutorial
@pytest.mark.parametrize(
    ("loaded", "advice"), [(np.__version__, "No restart needed"), ("1.26.4", "Restart the runtime (Runtime > Restart")]
)
def test_the_install_cell_says_whether_to_restart(path, loaded, advice, monkeypatch, capsys):
    monkeypatch.setattr(np, "__version__", loaded)
    _, check = install_command(read(path))
    exec(check, {})
    assert capsys.readouterr().out.startswith(advice)


def test_the_overview_links_every_tutorial():
    overview = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"({path.name})" in overview for path in TUTORIALS)
