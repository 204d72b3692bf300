import subprocess
import sys
from importlib.util import find_spec

import pytest

import tfllmrec.serving
import tfllmrec_client
from tfllmrec.models.registry import FAMILIES


@pytest.mark.parametrize("arguments", [["-c", "import tfllmrec"], ["-m", "tfllmrec", "--help"]])
def test_nothing_heavy_is_imported_before_it_is_needed(arguments):
    found = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip() for line in found.stderr.splitlines()}
    assert "tfllmrec" in imported
    assert not imported & {"tensorflow", "keras", "pandas", "matplotlib.figure"}


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import tfllmrec_client.errors", {"grpc", "numpy", "google.protobuf"}),
        ("from tfllmrec_client import *", {"tensorflow", "tensorflow_serving", "keras", "pandas", "tfllmrec"}),
    ],
)
def test_the_client_imports_nothing_heavy(program, absent):
    check = f"{program}; import sys; print(*{absent} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout == "\n"


@pytest.mark.parametrize("package", [tfllmrec, tfllmrec_client])
def test_every_public_name_is_there(package):
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)


def test_every_family_has_a_public_name():
    assert {family.__name__ for family in FAMILIES.values()} <= set(tfllmrec.__all__)


def test_the_client_is_the_same_from_both_packages():
    assert tfllmrec.errors.InputError is tfllmrec_client.InputError
    for name in ("Client", "RecommendedItem", "RequestError"):
        assert getattr(tfllmrec.serving, name) is getattr(tfllmrec_client, name)


def test_no_public_name_is_hidden_by_a_module_that_is_imported_later():
    for name in tfllmrec.__all__:
        assert find_spec(f"tfllmrec.{name}") is None


@pytest.mark.parametrize("package", [tfllmrec, tfllmrec_client])
def test_an_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"{package.__name__}.*no_such_thing"):
        _ = package.no_such_thing
