"""Download of a published file into a cache folder, verified by its SHA-256."""

from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.quiet import suppress_widget_warnings

_RETRIES = 2
_TIMEOUT_SECONDS = 30


def download(file: str, sha256: str, *, base_url: str, cache: Path | None = None) -> Path:
    """Return the path of a file in the cache; download it if it is missing or has another checksum.

    On a machine without network access, copy the file into the cache folder; its checksum is verified.

    Args:
        file: name of the file below `base_url` and in the cache.
        sha256: expected checksum, hexadecimal.
        base_url: address of the folder that contains the file.
        cache: the cache folder; by default `tfllmrec` in the user's cache folder.

    Raises:
        InputError: If the server cannot be reached or does not have the file, or the downloaded file has another
            checksum; the cache then contains no part of it.
    """
    with suppress_widget_warnings():
        import pooch  # imported here because it is slow to import

    folder = Path(cache) if cache else Path(pooch.os_cache("tfllmrec"))
    base_url = base_url.rstrip("/") + "/"
    fetcher = pooch.create(folder, base_url, registry={file: sha256}, retry_if_failed=_RETRIES)
    downloader = pooch.HTTPDownloader(progressbar=True, chunk_size=1 << 16, timeout=_TIMEOUT_SECONDS)
    advice = f"try again later, or copy the file into {folder}"
    try:
        return Path(fetcher.fetch(file, downloader=downloader))
    except OSError as error:  # includes all errors of requests
        response = getattr(error, "response", None)
        reason = "no connection" if response is None else f"HTTP status {response.status_code}"
        raise InputError(f"{base_url}{file} cannot be downloaded ({reason}): {advice}") from error
    except ValueError as error:
        raise InputError(f"{base_url}{file} is damaged, its SHA-256 is not {sha256}: {advice}") from error
