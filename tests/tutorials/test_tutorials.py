import json
import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "tutorials"
TUTORIALS = sorted(FOLDER.glob("*.ipynb"))
REPOSITORY = "https://github.com/tfllmrec/tfllmrec"
FAST = "EPOCHS = 1"  # in place of the parameters

every_tutorial = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def the_cell(notebook, tag):
    (cell,) = (cell for cell in notebook.cells if tag in cell.metadata.get("tags", ()))
    return cell


def install_command(notebook):
    """The packages of the `%pip` line, and the code after it."""
    source = the_cell(notebook, "install").source.replace("\\\n", " ")
    (command,) = re.findall(r"^%pip install -q (.*)$", source, re.MULTILINE)
    return re.findall(r'"[^"]+"|\S+', command), source[source.index(command) + len(command) :]


@pytest.fixture
def this_python(tmp_path, monkeypatch):
    """A kernel called python3 that is the interpreter of the tests, as bare as a reader's."""
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "The tests' Python", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))  # is searched first
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)  # would hide what a reader sees


def test_there_is_a_tutorial():
    assert TUTORIALS


@pytest.mark.slow
@every_tutorial
@pytest.mark.usefixtures("this_python")
def test_a_tutorial_runs_from_top_to_bottom_and_nothing_complains(path, tmp_path):
    notebook = read(path)
    notebook.cells.remove(the_cell(notebook, "install"))
    the_cell(notebook, "parameters").source = FAST
    work = tmp_path / "work"
    work.mkdir()
    NotebookClient(notebook, kernel_name="python3", timeout=600, resources={"metadata": {"path": str(work)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert outputs
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


@every_tutorial
def test_a_tutorial_is_kept_without_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert notebook.metadata.kernelspec.name == "python3"


@every_tutorial
def test_the_address_of_the_repository_stands_in_the_install_cell_alone(path):
    notebook = read(path)
    assert path.read_text(encoding="utf-8").count(REPOSITORY) == 1
    assert f'REPOSITORY = "{REPOSITORY}"' in the_cell(notebook, "install").source


@every_tutorial
def test_the_install_cell_pins_every_package(path):
    packages, _ = install_command(read(path))
    own, *others = sorted(packages, key=lambda package: "git+{REPOSITORY}" not in package)
    assert own.startswith('"tfllmrec')
    assert others
    assert all(re.fullmatch(r"[\w-]+(==|~=)[\d.]+", package) for package in others)


@every_tutorial
@pytest.mark.parametrize(
    ("loaded", "told"), [(np.__version__, "No restart needed"), ("1.26.4", "Restart the runtime (Runtime > Restart")]
)
def test_the_install_cell_says_whether_to_restart(path, loaded, told, monkeypatch, capsys):
    monkeypatch.setattr(np, "__version__", loaded)
    _, check = install_command(read(path))
    exec(check, {})
    assert capsys.readouterr().out.startswith(told)


def test_the_overview_names_every_tutorial():
    overview = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"({path.name})" in overview for path in TUTORIALS)
