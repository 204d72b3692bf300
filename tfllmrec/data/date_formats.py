"""Formats of dates in text: one format per column, with the order of day and month decided by the whole column."""

import re
import warnings
from contextlib import suppress

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.tseries.api import guess_datetime_format

from tfllmrec.errors import InputError

_ADVICE = "give ISO dates (2024-03-09), Unix seconds, or date_format, such as %d/%m/%Y"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d(?:\.\d+)?))?\s?(?P<half>[AaPp][Mm])?"
_ZONE = r"(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)?"
_TIME = rf"(?:[T,\s]+{_CLOCK}\s?{_ZONE})?"
_DAY, _YEAR, _NUMBER = r"(?P<day>\d{1,2})", r"(?P<year>\d{4})", r"(?P<month>\d{1,2})"
_WEEKDAY = r"(?:[A-Za-z]{3,9},?\s+)?"
_ABOVE_12 = r"(?:1[3-9]|[2-9]\d)\D"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NUMBERS = {month: str(number) for number, month in enumerate(_MONTHS, 1)}
_NAME = rf"(?P<month>(?:{'|'.join(_MONTHS)})[a-z]*)\.?"
_DAY_AND_MONTH = rf"(?P<first>\d{{1,2}})([-/.])(?P<other>\d{{1,2}})\2{_YEAR}{_TIME}"
_FORMATS = {
    "2024-03-09": rf"{_YEAR}([-/.]){_NUMBER}\2{_DAY}{_TIME}",
    "2024年3月9日": rf"{_YEAR}年{_NUMBER}月{_DAY}日?(?:\s*{_CLOCK})?",
    "9 March 2024": rf"{_WEEKDAY}{_DAY}[\s-]{_NAME}[,\s-]+{_YEAR}{_TIME}",
    "March 9, 2024": rf"{_WEEKDAY}{_NAME}\s+{_DAY},?\s+{_YEAR}{_TIME}",
    "Mar 9 12:30:00 2024": rf"{_WEEKDAY}{_NAME}\s+{_DAY}\s+{_CLOCK}\s?{_ZONE}\s+{_YEAR}",
    "09/03/2024": _DAY_AND_MONTH,
}
"""Patterns by an example."""
_BLOCK = 2**18
_READ = {"%d", "%m", "%b", "%B", "%Y", "%H", "%M", "%S"}
"""Directives of `strptime` that PyArrow reads without a loss."""


def parse_dates(texts: pd.Series, name: str, *, date_format: str | None = None) -> pd.Series:
    """Read dates from text.

    Args:
        texts: distinct texts, objects [n].
        name: table and column, for messages.
        date_format: format for `datetime.strptime`; by default it is detected.

    Returns:
        datetime64 in UTC, [n]; NaT for texts that are not dates of the column's format.

    Raises:
        InputError: If `date_format` is not a format, the texts have several formats, or the order of day and month is
            ambiguous or contradictory.

    Example:
        >>> list(parse_dates(pd.Series(["9.3.2024", "13.3.2024 8:30 PM"]), "column").dt.strftime("%m-%d %H:%M"))
        ['03-09 00:00', '03-13 20:30']
    """
    if date_format is not None:
        try:
            return pd.to_datetime(texts, format=date_format, errors="coerce", utc=True)
        except ValueError as error:
            raise InputError(f"{name}: date_format {date_format!r} is not a format of strptime: {error}") from error
    if texts.str.match(r"\d{4}\D").all():  # not for words: pandas reads "now" as the present time
        dates = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
        if dates.notna().all():
            return dates
    pattern = _pattern(texts, name)
    if pattern == _DAY_AND_MONTH:
        order = ("day", "month") if _is_day_first(texts, name) else ("month", "day")
        pattern = pattern.replace("first", order[0]).replace("other", order[1])
    compiled = re.compile(f"^{pattern}$", re.IGNORECASE)
    blocks = [texts[start : start + _BLOCK] for start in range(0, len(texts), _BLOCK)]  # the parts take much memory
    return pd.concat([_dates(block.astype("string").str.extract(compiled)) for block in blocks])


def common_dates(texts: pa.Array) -> pa.Array | None:
    """Read dates in the formats that PyArrow reads, which is 30 times as fast as `parse_dates` and needs little memory.

    Args:
        texts: texts, [n]; missing ones are null.

    Returns:
        Arrow timestamps, [n]; None if a text is not a date, or the format is ambiguous or another one.
    """
    first = pc.first(texts).as_py() or ""
    if re.match(r"\d{4}-", first):
        for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
            with suppress(pa.ArrowInvalid):
                return texts.cast(kind)
        return None
    read = [dates for form in _strptime_formats(first) if (dates := _strptime(texts, form)) is not None]
    return read[0] if len(read) == 1 else None


def _strptime_formats(text: str) -> set[str]:
    """Return the formats of a date with the day or the month first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a day that is in the other position
        formats = {guess_datetime_format(text, dayfirst=day_first) for day_first in (True, False)}
    directives = {form: set(re.findall("%.", form)) for form in formats if form}
    return {form for form, used in directives.items() if "%Y" in used and not form.startswith("%Y") and used <= _READ}


def _strptime(texts: pa.Array, form: str) -> pa.Array | None:
    dates = pc.strptime(texts, form, "s", error_is_null=True)
    if dates.null_count > texts.null_count:
        return None
    # Arrow reads 31 February as 2 March.
    return dates if pc.all(pc.equal(pc.strftime(dates, form), texts.cast(pa.string()))).as_py() else None


def _pattern(texts: pd.Series, name: str) -> str:
    """Return the pattern of the column's format."""
    found, example = _FORMATS["2024-03-09"], None
    others = texts
    for pattern in _FORMATS.values():
        matches = others.str.fullmatch(pattern, flags=re.IGNORECASE)
        if not matches.any():
            continue
        if example is not None:
            raise InputError(
                f"{name} mixes formats of dates ({example!r} and {others[matches].iloc[0]!r}): give all in one format"
            )
        found, example, others = pattern, others[matches].iloc[0], others[~matches]
    return found


def _is_day_first(texts: pd.Series, name: str) -> bool:
    """Return whether dates such as 13/03/2024 start with the day."""
    day_first, month_first = (texts[texts.str.match(pattern)] for pattern in (_ABOVE_12, rf"\d+\D{_ABOVE_12}"))
    if len(day_first) and len(month_first):
        raise InputError(
            f"{name} has dates with the day first ({day_first.iloc[0]!r}) and with the month first "
            f"({month_first.iloc[0]!r}): {_ADVICE}"
        )
    if day_first.empty and month_first.empty:
        example = texts[texts.str.fullmatch(_DAY_AND_MONTH, flags=re.IGNORECASE)].iloc[0]
        raise InputError(f"{name} has dates such as {example!r} in which day and month are ambiguous: {_ADVICE}")
    return len(day_first) > 0


def _dates(parts: pd.DataFrame) -> pd.Series:
    return pd.to_datetime(_iso_texts(parts), format="ISO8601", errors="coerce", utc=True)


def _iso_texts(parts: pd.DataFrame) -> pd.Series:
    """Join the parts of dates to ISO 8601; a missing value where a text did not match."""
    month = parts["month"].str[:3].str.lower().replace(_MONTH_NUMBERS)
    date = parts["year"] + "-" + month.str.zfill(2) + "-" + parts["day"].str.zfill(2)
    half = parts["half"].str.lower().fillna("")
    hour = parts["hour"].astype("Int64")
    hour = hour.mask((half != "") & (hour == 12), 0) + 12 * (half == "pm").astype("Int64")
    clock = hour.astype("string").str.zfill(2) + ":" + parts["minute"] + ":" + parts["second"].fillna("00")
    zone = parts["zone"].fillna("Z").replace({"UTC": "Z", "GMT": "Z"}) if "zone" in parts else "Z"
    return date.where(parts["hour"].isna(), date + "T" + clock + zone)
