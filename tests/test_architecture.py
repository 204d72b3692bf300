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


def test_no_module_imports_the_top_level_names(graph):
    """`from tfllmrec import MultiTask` would evade the contract that only the registry imports families."""
    assert not graph.find_modules_that_directly_import("tfllmrec")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_only_base_of_a_family_is_the_recommender(name):
    assert own_bases(model_class(name)) == [Recommender]


@pytest.fixture(scope="module")
def classes(graph):
    """All classes of this project."""
    modules = [import_module(name) for name in graph.modules if not name.endswith("__main__")]
    members = {member for module in modules for member in vars(module).values() if inspect.isclass(member)}
    found = {cls for cls in members if str(cls.__module__).split(".")[0] in PACKAGES}
    assert len(found) > 100
    return found


def test_classes_have_at_most_two_bases_of_this_project(classes):
    others = [cls for cls in classes if not issubclass(cls, Config)]
    bases = {f"{cls.__module__}.{cls.__name__}": [base.__name__ for base in own_bases(cls)] for cls in others}
    assert not {name: found for name, found in bases.items() if len(found) > 2}


def test_configurations_add_options_to_one_base(classes):
    """Options are flat for callers and in files, so their groups form chains: training, content, sequences, family."""
    configs = [cls for cls in classes if issubclass(cls, Config)]
    assert len(configs) > len(FAMILIES)
    assert not [cls.__name__ for cls in configs if len(cls.__bases__) > 1 or len(own_bases(cls)) > 4]
