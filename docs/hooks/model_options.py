"""MkDocs hook: replace `<!-- options: FAMILY -->` by a table of the family's options, read from its configuration."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_MARKER = re.compile(r"^<!-- options: (\w+) -->$", re.MULTILINE)
_ENTRY = re.compile(r"^ *(\w+)(?: \([^)]*\))?: +(.+)$")
_TYPES = {
    "Fraction": "float in [0, 1)",
    "Names": "names",
    "NotNegative": "int ≥ 0",
    "Numbers": "numbers",
    "Options": "mapping",
    "Positive": "int > 0",
}
"""What the annotations of `tfllmrec.models.base.config` accept."""


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write a table with one row for each option."""
    root = Path(config.config_file_path).parent
    return _MARKER.sub(lambda marker: _table(*_family(root, marker[1])), markdown)


@cache
def _package(root: Path) -> griffe.Module:
    package = griffe.load("tfllmrec", search_paths=[str(root)], allow_inspection=False)
    assert isinstance(package, griffe.Module)
    return package


def _family(root: Path, name: str) -> tuple[griffe.Class, griffe.Class]:
    """Return the class of a family, and the configuration class that it names."""
    package = _package(root)
    families = package["models.registry.FAMILIES"].value
    location = dict(zip(map(_text, families.keys), map(_text, families.values), strict=True))[name]
    module, _, class_name = location.removeprefix("tfllmrec.").partition(":")
    family = package[module][class_name]
    config = package[module].resolve(str(family.members["config_class"].value))
    return family, package[config.removeprefix("tfllmrec.")]


def _text(expression: object) -> str:
    return str(expression).strip("'\"")


def _table(family: griffe.Class, config: griffe.Class) -> str:
    classes = [config, *(base for base in config.mro() if isinstance(base, griffe.Class))]
    meanings = {name: text for cls in [*reversed(classes), family] for name, text in _entries(cls)}
    fields: dict[str, griffe.Attribute] = {}
    for cls in classes:
        for name, member in cls.members.items():
            if isinstance(member, griffe.Attribute) and member.annotation is not None and not name.startswith("_"):
                fields.setdefault(name, member)
    rows = [
        f"| `{name}` | {_type(str(field.annotation))} | `{_default(str(field.value))}` | {meanings.get(name, '')} |"
        for name, field in fields.items()
    ]
    return "\n".join(["| option | type | default | meaning |", "|---|---|---|---|", *rows])


def _entries(cls: griffe.Class) -> Iterator[tuple[str, str]]:
    """Yield name and text of every `name: text` entry of a class docstring, with continuation lines joined."""
    entry: list[str] = []
    depth = 0
    for line in [*(cls.docstring.value if cls.docstring else "").splitlines(), ""]:
        indented = len(line) - len(line.lstrip())
        if entry and line.strip() and indented > depth:
            entry[1] += f" {line.strip()}"
            continue
        if entry:
            yield entry[0], entry[1]
        found = _ENTRY.match(line)
        entry, depth = ([found[1], found[2]] if found else []), indented


def _type(annotation: str) -> str:
    for name, meaning in _TYPES.items():
        annotation = re.sub(rf"\b{name}\b", meaning, annotation)
    annotated = re.match(r"Annotated\[(.*), \w+(\(.*\))?\]$", annotation)
    if annotated:
        annotation = annotated[1] + _bounds(annotated[2] or "")
    plain = re.sub(r"Literal\[(.*?)\]", lambda values: values[1].replace(", ", " or "), annotation)
    return plain.replace("|", "or").replace("'", "`")


def _bounds(field: str) -> str:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    return "".join(f" {signs[name]} {value}" for name, value in re.findall(r"(gt|ge|lt|le)=([\d.]+)", field))


def _default(value: str) -> str:
    given = re.match(r"Field\(default=([^,)]+)", value)
    if given:
        return given[1]
    return {"Field(default_factory=dict)": "{}"}.get(value, value)
