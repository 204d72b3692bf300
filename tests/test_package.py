"""Public names, and imports that wait until they are needed."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

import tfllmrec.serving
import tfllmrec_client
from tfllmrec.models.registry import FAMILIES, model_class
from tfllmrec_client.version import __version__


def imported_by(*arguments):
    """Return the names of all modules that a new Python process imports."""
    command = [sys.executable, "-X", "importtime", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}


@pytest.mark.parametrize("arguments", [["-c", "import tfllmrec"], ["-m", "tfllmrec", "--help"]])
def test_heavy_modules_are_imported_on_first_use(arguments):
    modules = imported_by(*arguments)
    assert "tfllmrec" in modules
    assert not modules & {"tensorflow", "keras", "pandas", "matplotlib.figure"}


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import tfllmrec_client.errors", {"grpc", "numpy", "google.protobuf"}),
        ("from tfllmrec_client import *", {"tensorflow", "tensorflow_serving", "keras", "pandas", "tfllmrec"}),
    ],
)
def test_the_client_is_light(program, absent):
    modules = imported_by("-c", program)
    assert "tfllmrec_client" in modules
    assert not modules & absent


@pytest.mark.parametrize("package", [tfllmrec, tfllmrec_client])
def test_public_names_can_be_imported(package):
    assert len(package.__all__) == len(set(package.__all__))
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)


def test_families_are_public_under_their_class_names():
    for name in FAMILIES:
        family = model_class(name)
        assert family.__name__ in tfllmrec.__all__
        assert getattr(tfllmrec, family.__name__) is family


def test_a_registered_family_is_public(monkeypatch):
    monkeypatch.setitem(FAMILIES, "toy", "collections:Counter")
    assert tfllmrec.Counter.__name__ == "Counter"
    assert "Counter" in dir(tfllmrec)


def test_the_version_is_that_of_the_client():
    assert tfllmrec.__version__ == __version__


def test_both_packages_share_the_client():
    assert tfllmrec.errors.InputError is tfllmrec_client.InputError
    for name in ("Client", "ScoredItem", "RequestError"):
        assert getattr(tfllmrec.serving, name) is getattr(tfllmrec_client, name)


def test_no_module_has_the_name_of_a_public_name():
    for name in tfllmrec.__all__:
        assert find_spec(f"tfllmrec.{name}") is None


@pytest.mark.parametrize("package", [tfllmrec, tfllmrec_client])
def test_an_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"{package.__name__}.*no_such_thing"):
        _ = package.no_such_thing
