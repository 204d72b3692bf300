"""Rules of the code base that no linter checks."""

import inspect
from graphlib import CycleError, TopologicalSorter
from importlib import import_module

import grimp
import pytest

from tfllmrec.models.base.config import Config
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.registry import FAMILIES, model_class

PACKAGES = ("tfllmrec", "tfllmrec_client")


@pytest.fixture(scope="module")
def graph():
    """All imports between modules, those inside functions included, without those for type checkers."""
    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)


def own_bases(cls):
    """Return all bases of a class that this project defines, from the nearest to the farthest."""
    return [base for base in inspect.getmro(cls)[1:] if str(base.__module__).split(".")[0] in PACKAGES]


def test_modules_import_each_other_without_cycles(graph):
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(reversed(error.args[1]))}", pytrace=False)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_only_base_of_a_family_is_the_recommender(name):
    assert own_bases(model_class(name)) == [Recommender]


def test_classes_have_at_most_two_bases_of_this_project(graph):
    classes = {
        cls
        for name in graph.modules
        if not name.endswith("__main__")
        for cls in vars(import_module(name)).values()
        if inspect.isclass(cls) and str(cls.__module__).split(".")[0] in PACKAGES
    }
    assert len(classes) > 100
    with_behaviour = {cls for cls in classes if not issubclass(cls, Config)}  # configurations inherit fields only
    bases = {f"{cls.__module__}.{cls.__name__}": [base.__name__ for base in own_bases(cls)] for cls in with_behaviour}
    assert not {name: names for name, names in bases.items() if len(names) > 2}
