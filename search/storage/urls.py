"""Storage URLs: their files, how they are shown, and the options that name them to further commands."""

import os
import shlex
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from search.errors import UsageError
from search.home import STORAGE_VARIABLE, Home

__all__ = ["hide_secrets", "place_of", "shown_url", "sqlite_file", "where_flags"]


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite database, or None for another kind of database.

    Raises:
        UsageError: `url` is not a database URL.
    """
    parsed = _parsed(url)
    if parsed is None or "\0" in url:
        # A text with an @ may contain a password that cannot be told from the rest, so it is not repeated.
        found = repr(url)
        if "@" in url:
            found = "something else. In a password, write @ as %40, / as %2F and : as %3A"
        raise UsageError(
            f"--storage must be a database URL such as sqlite:///runs/studies.db, but got {found}."
        )
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise UsageError(
            "--storage must name a file: a study in memory is lost when the search ends."
        )
    if parsed.database.startswith("file:") and parsed.query.get("uri") in {"true", "1"}:
        return Path(unquote(parsed.database.removeprefix("file:")))
    return Path(parsed.database)


def shown_url(url: str) -> str:
    """Return the URL with every password in it masked."""
    parsed = _parsed(url)
    if parsed is None:
        return "(not a database URL)"
    shown = parsed.set(
        query={key: parsed.query[key] for key in parsed.query if not _is_secret(key)}
    )
    secret = "&".join(f"{key}=***" for key in parsed.query if _is_secret(key))
    text = shown.render_as_string(hide_password=True)
    return text if not secret else f"{text}{'&' if shown.query else '?'}{secret}"


def hide_secrets(text: str, url: str) -> str:
    """Return `text`, such as a driver's error, with the passwords of `url` masked.

    If the password cannot be told from the rest of the URL, everything that may contain it is masked.
    """
    if _parsed(url) is None and "@" in url:
        return text.replace(url.rpartition("@")[0].rpartition("//")[2], "***")
    for value in sorted(_secrets(url), key=len, reverse=True):
        # Percent-encoded in one way or another, and as Python repeats a text.
        encoded = (quote(value, safe=""), quote(value), quote_plus(value))
        for written in (value, *encoded, repr(value)[1:-1]):
            text = text.replace(written, "***")
    return text


def where_flags(home: Home, url: str) -> str:
    """Return the options by which further commands find a study, if they need any."""
    if url == (os.environ.get(STORAGE_VARIABLE) or home.storage_url()):
        return home.flag
    # With the password the command would show it, and without it the command would not work.
    named = f'"${STORAGE_VARIABLE}"' if _secrets(url) else shlex.quote(shown_url(url))
    return f"{home.flag} --storage {named}"


def place_of(home: Home, url: str) -> str:
    """Return a name for a storage that stays the same when the home is moved or the password changed."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        kind, host, port = parsed.drivername, parsed.host, parsed.port
        return URL.create(kind, host=host, port=port, database=parsed.database).render_as_string()
    database, root = (sqlite_file(url) or Path()).resolve(), home.root.resolve()
    inside = database.is_relative_to(root)
    return str(database.relative_to(root)) if inside else str(database)


def _secrets(url: str) -> set[str]:
    parsed = _parsed(url)
    if parsed is None:
        return set()
    inside = [value for key, value in parsed.query.items() if _is_secret(key)]
    values = [one for value in inside for one in ([value] if isinstance(value, str) else value)]
    return {str(parsed.password or ""), *values} - {""}


def _is_secret(key: str) -> bool:
    """Return whether a key of a URL's query names a password, as libpq's password and sslpassword do."""
    return any(word in key.lower() for word in ("pass", "pwd", "secret", "token"))


def _parsed(url: str) -> URL | None:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    # A host name has no @: it was part of a password.
    return None if "@" in (parsed.host or "") else parsed
