"""Downloads that survive: the first mirror that works, resumed where an attempt broke off, in place only when right.

What has come so far lies in `path` + ".part". A file at `path` itself has passed its check.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import contextmanager, nullcontext
from pathlib import Path

from ..errors import DataError

CHUNK = 1 << 16


def download(urls: Iterable[str], path: Path, check: Callable[[Path], object], timeout: float = 30.0) -> None:
    """Fetch `path` from the first of `urls` that delivers it, and check it before it gets its name.

    A connection that breaks is taken up again, in this call or (after Ctrl-C, say) in a later one, by an HTTP Range
    request; a server without ranges sends all anew.

    Args:   urls - addresses of the same file, tried in this order.
            path - where it goes. Its folder is made.
            check - called with the complete `.part`; raises DataError unless that is the right file.
            timeout - seconds without an answer until a url is given up, default 30.
    Raises: DataError with what happened at each url. What had come stays in the `.part`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failures = []
    for url in urls:
        failure = _complete(url, part, check, timeout)
        if failure is None:
            os.replace(part, path)
            return
        failures.append(f"  {url}: {failure}")
    raise DataError(f"no mirror delivered {path.name}:\n" + "\n".join(failures))


def _complete(url, part, check, timeout):
    """Fetch until `part` is complete and right: None, or why that did not come about."""
    while True:
        before = _size(part)
        try:
            kept = _fetch(url, part, timeout)
            check(part)
            return None
        except _Broken as error:
            if _size(part) <= before:  # no progress: the next attempt would not get further
                return str(error)
        except DataError as error:
            part.unlink()
            if not kept:
                return f"what it delivered is not the file: {error}"
            # What was kept may have come from another mirror's copy: once more, from the start.


def _fetch(url, part, timeout):
    """Append to `part` what it lacks of `url`. Returns how many of its old bytes were kept."""
    have = _size(part)
    response = _open(url, have, timeout)
    if response is None:
        return have
    with response:
        kept, total = _extent(response, have)
        with part.open("ab" if kept else "wb") as file, _bar(part.stem, kept, total) as bar:
            while chunk := _read(response):
                file.write(chunk)
                if bar is not None:
                    bar.update(len(chunk))
    if total is not None and _size(part) != total:
        raise _Broken(f"the connection ended after {_size(part)} of {total} bytes")
    return kept


def _open(url, have, timeout):
    """The response to a request for what comes after the first `have` bytes, or None if nothing does."""
    # Here, since only a download needs them, and they take long to import.
    from urllib.error import HTTPError  # noqa: PLC0415
    from urllib.request import Request, urlopen  # noqa: PLC0415

    headers = {"User-Agent": "minigrad", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with _network():
        try:
            return urlopen(Request(url, headers=headers), timeout=timeout)
        except HTTPError as error:
            error.close()
            if error.code == 416 and have:  # Range Not Satisfiable: the part is complete, or not of this file
                return None
            raise _Broken(f"HTTP {error.code} {error.reason}") from None


def _extent(response, have):
    """How many old bytes the response continues, and the size of the whole file (None if not told)."""
    length = response.headers.get("Content-Length")
    if response.status == 206:
        span = response.headers.get("Content-Range", "")
        if not span.startswith(f"bytes {have}-"):
            raise _Broken(f"asked for the bytes from {have} on, the server sent {span!r}")
        kept = have
    else:
        kept = 0
    return kept, None if length is None else kept + int(length)


def _read(response):
    with _network():
        return response.read1(CHUNK)


class _Broken(Exception):  # noqa: N818 - not an error of minigrad's: it never leaves this file
    """The network's or a server's failure, as opposed to one of this machine's disk."""


@contextmanager
def _network():
    from http.client import HTTPException  # noqa: PLC0415 - as above

    try:
        yield
    except (OSError, HTTPException) as error:  # URLError, timeouts and lost connections are OSErrors
        raise _Broken(str(getattr(error, "reason", None) or error or type(error).__name__)) from error


def _bar(name, begin, total):
    try:
        from tqdm import tqdm  # noqa: PLC0415 - optional
    except ImportError:
        return nullcontext()
    return tqdm(desc=name, initial=begin, total=total, unit="B", unit_scale=True)


def _size(part):
    return part.stat().st_size if part.exists() else 0
