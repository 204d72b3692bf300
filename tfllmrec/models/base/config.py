"""Configurations: frozen dataclasses with checked values, which are read from JSON and from command lines."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.errors import InputError

Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


def _split(value: Any) -> Any:
    """Split text at commas."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Names; text is split at commas."""


Numbers = Annotated[tuple[float, ...], BeforeValidator(_split)]
"""Numbers; text is split at commas."""


def _parsed(value: Any) -> Any:
    """Parse text as JSON."""
    return json.loads(value) if isinstance(value, str) else value


Options = Annotated[dict[str, Any], BeforeValidator(_parsed)]
"""Options of a part; text is parsed as JSON."""


STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""For every configuration's dataclass: unknown options, infinity and NaN are refused."""


@dataclass(frozen=True)
class Rule:
    """Options that follow from the size of the data.

    Attributes:
        name: the condition that holds for the data.
        options: the options that it sets.
    """

    name: str
    options: Mapping[str, Any]


@checked_dataclass(frozen=True, config=STRICT)
class Config:
    """The options of every family.

    Attributes:
        history_length: most recent items of a user that the model reads.
        seed: seed of every random choice.
    """

    history_length: Positive = 50
    seed: NotNegative = 0

    @classmethod
    def rules(cls, data: Dataset, options: Mapping[str, Any]) -> Sequence[Rule]:
        """Return the rules that hold for a data set; later ones have precedence.

        Args:
            data: the training part.
            options: the options set by the caller, which have precedence over all rules.
        """
        return ()

    @classmethod
    def for_data(cls, data: Dataset, options: Mapping[str, Any]) -> Self:
        """Return the configuration for a data set: defaults, rules, and the caller's options.

        Raises:
            InputError: If an option is unknown or has a wrong value.
        """
        chosen: dict[str, Any] = {}
        for rule in cls.rules(data, options):
            chosen |= rule.options
        return cls.from_options({**chosen, **options})

    @classmethod
    def sources(cls, data: Dataset, options: Mapping[str, Any]) -> dict[str, str]:
        """Return the source of every option of `for_data`: "caller", "data: <rule>" or "default"."""
        sources = {field.name: "default" for field in fields(cls)}
        for rule in cls.rules(data, options):
            sources |= dict.fromkeys(rule.options, f"data: {rule.name}")
        return sources | dict.fromkeys(options, "caller")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Return a configuration from named values; text is parsed as the option's type.

        Raises:
            InputError: If an option is unknown, or its value has a wrong type or is out of range.
        """
        try:
            return cls(**options)
        except ValidationError as error:
            first = error.errors()[0]
            option = ".".join(map(str, first["loc"])) or "config"
            if first["type"] == "unexpected_keyword_argument":
                known = ", ".join(field.name for field in fields(cls))
                raise InputError(f"unknown option {option}: choose one of {known}") from error
            reason = first["msg"][0].lower() + first["msg"][1:]
            raise InputError(f"option {option}={first['input']!r}: {reason}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_options` reads them."""
        return asdict(self)


def explained(config: Config, sources: Mapping[str, str]) -> pd.DataFrame:
    """Return the options with their values and sources; see `Recommender.explain_config`."""
    rows = [(name, value, sources.get(name, "default")) for name, value in config.to_dict().items()]
    return pd.DataFrame(rows, columns=["option", "value", "source"])


def given_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a constructor was called with: its `locals()` without those left at None."""
    given = {name: value for name, value in arguments.items() if name not in ("self", "config", "__class__")}
    return read_once({name: value for name, value in given.items() if value is not None})


def read_once(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with the elements of iterators, which could not be read a second time."""
    return {name: tuple(value) if isinstance(value, Iterator) else value for name, value in options.items()}
