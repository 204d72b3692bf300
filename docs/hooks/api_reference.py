"""MkDocs hook: replace `<!-- api: PACKAGE -->` by the reference of every public name of the package."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

SOURCES = (".", "serving/clients/python")
_MARKER = re.compile(r"^<!-- api: (\S+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write one section for each module that defines public names."""
    root = Path(config.config_file_path).parent

    def reference(marker: re.Match[str]) -> str:
        modules = dict(_modules(root, marker[1]))
        sections = [_section(module, names) for module, names in modules.items()]
        return "\n\n".join([_exports(root, marker[1], modules), *sections])

    return _MARKER.sub(reference, markdown)


def _exports(root: Path, package: str, modules: dict[str, list[str]]) -> str:
    """Return a sentence that links the names which the package itself exports."""
    sources = {name: module for module, names in modules.items() for name in names}
    listed = ast.literal_eval(_assigned(_folder(root, package) / "__init__.py", "__all__") or ast.List([], ast.Load()))
    names = [name for name in listed if name in sources]
    links = ", ".join(f"[`{name}`][{sources[name]}.{name}]" for name in names)
    return f"Import from `{package}`: {links}." if names else ""


def _assigned(path: Path, name: str) -> ast.expr | None:
    """Return the value that a module assigns to a name."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == [name]:
            return node.value
    return None


def _folder(root: Path, package: str) -> Path:
    (folder,) = (path for source in SOURCES if (path := root / source / package.replace(".", "/")).is_dir())
    return folder


def _section(module: str, names: list[str]) -> str:
    blocks = [f"::: {module}.{name}" for name in names]
    return "\n\n".join([f"## {module}", *blocks])


def _modules(root: Path, package: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the public modules of a package, with the public names that each defines."""
    folder = _folder(root, package)
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        names = _public_names(path)
        if names:
            yield ".".join([package, *(part for part in parts if part != "__init__")]), names


def _public_names(path: Path) -> list[str]:
    """Return the documented classes, functions and constants that a module defines, in source order."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    names: list[str] = []
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            names.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_docstring(following):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in names if not name.startswith("_")]


def _is_docstring(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
