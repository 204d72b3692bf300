"""One published file into a cache folder: checked, tried again, and never left there damaged."""

from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.quiet import suppress_widget_warnings

_RETRIES = 2
_TIMEOUT_SECONDS = 30


def download(file: str, sha256: str, *, base_url: str, cache: Path | None = None) -> Path:
    """The path of a file in the cache, downloaded if it is not there with the right checksum.

    On a machine without a network put the file into the cache folder by hand: it is checked and used.

    Args:
        file: the file's name, below `base_url` and in the cache.
        sha256: the checksum its publisher's file has, in hexadecimal.
        base_url: where the file lies.
        cache: the folder that keeps it; by default `tfllmrec` in the user's cache folder.

    Raises:
        InputError: the server cannot be reached or lacks the file, or what came has another checksum; then
            nothing is kept of it.
    """
    with suppress_widget_warnings():
        import pooch  # only who downloads pays for it

    folder = Path(cache) if cache else Path(pooch.os_cache("tfllmrec"))
    base_url = base_url.rstrip("/") + "/"
    shelf = pooch.create(folder, base_url, registry={file: sha256}, retry_if_failed=_RETRIES)
    downloader = pooch.HTTPDownloader(progressbar=True, chunk_size=1 << 16, timeout=_TIMEOUT_SECONDS)
    by_hand = f"try again later, or put the file into {folder} by hand"
    try:
        return Path(shelf.fetch(file, downloader=downloader))
    except OSError as error:  # requests' errors are OSErrors
        answer = getattr(error, "response", None)  # None where no server answered
        reason = "no connection" if answer is None else f"HTTP status {answer.status_code}"
        raise InputError(f"{base_url}{file} cannot be downloaded ({reason}): {by_hand}") from error
    except ValueError as error:
        raise InputError(f"{base_url}{file} arrived damaged, its SHA-256 is not {sha256}: {by_hand}") from error
