"""Configurations: frozen dataclasses whose values are checked and survive JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.errors import InputError

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


def _split(value: Any) -> Any:
    """Names as a command line has them, with commas between."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Any number of names; text is read as names with commas between."""


Numbers = Annotated[tuple[float, ...], BeforeValidator(_split)]
"""Any number of numbers; text is read as numbers with commas between."""


def _parsed(value: Any) -> Any:
    """Options as a command line has them, in JSON."""
    return json.loads(value) if isinstance(value, str) else value


Options = Annotated[dict[str, Any], BeforeValidator(_parsed)]
"""Options of a part; text is read as JSON."""


STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""For the dataclass of every configuration: no unknown option, no number that is none."""


@dataclass(frozen=True, config=STRICT)
class Config:
    """What every family's configuration has.

    Attributes:
        history_length: how many of a user's newest items the model reads.
        seed: of every random choice.
    """

    history_length: Positive = 50
    seed: Annotated[int, Field(ge=0)] = 0

    @classmethod
    def for_data(cls, data: Dataset, options: Mapping[str, Any]) -> Self:
        """The defaults for a data set of this size, with some options set by the caller."""
        return cls.from_options(options)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """A configuration from named values; text is read as the option's type.

        Raises:
            InputError: an option is unknown or its value is not of its type or range.
        """
        try:
            return cls(**options)
        except ValidationError as error:
            first = error.errors()[0]
            option = ".".join(map(str, first["loc"])) or "config"
            if first["type"] == "unexpected_keyword_argument":
                known = ", ".join(field.name for field in fields(cls))
                raise InputError(f"option {option} is unknown; there are {known}") from error
            reason = first["msg"][0].lower() + first["msg"][1:]
            raise InputError(f"option {option}={first['input']!r}: {reason}") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_options` reads them back."""
        return asdict(self)
