"""What the server is told at its start, and what it refuses to start with."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..runtime.errors import SettingsError
from ..runtime.trust import Trust

TOKEN_VARIABLE = "CLINICEDGE_TOKEN"
MIN_TOKEN = 16
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_MAKE_ONE = "make one with: openssl rand -hex 16"


@dataclass(frozen=True)
class EngineWish:
    """Engine, precision and threads as `Bundle.predictor` takes them."""

    engine: str = "auto"
    precision: str = "auto"
    threads: int = 0


@dataclass(frozen=True)
class Settings:
    """How to serve.

    Attributes:
        bundles: folders of bundles.
        default: the model that answers when a request names none; None takes the first bundle's.
        data: folder of the cases.
        token: None only on a loopback address.
        film: a film that the page offers first.
        queue: films that may wait for an answer; more are told to come back.
        max_upload_bytes: of one request.
        trust: which bundles may be opened; None takes what the device was told.
        names: host names beside the machine's own that the page may be called by.
    """

    bundles: tuple[Path, ...]
    data: Path
    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    film: Path | None = None
    wish: EngineWish = EngineWish()
    queue: int = 16
    max_upload_bytes: int = 64 * 1024 * 1024
    names: tuple[str, ...] = ()
    default: str | None = None
    trust: Trust | None = None


def is_loopback(host: str) -> bool:
    """Whether only this machine itself reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check(settings: Settings) -> None:
    """Refuse what would be unsafe.

    Raises:
        SettingsError: an open address without a token, a short token, no bundle.
    """
    if not settings.bundles:
        raise SettingsError("no bundle to serve; expected at least one folder.")
    if not is_loopback(settings.host) and settings.token is None:
        raise SettingsError(
            f"--host {settings.host} opens the films to the network, and no token was given. "
            f"Give --token-file FILE, or {TOKEN_VARIABLE} in the environment, or --token; "
            f"{_MAKE_ONE}. Or leave --host away: then only this machine reaches the page."
        )
    if settings.token is not None:
        _check_token(settings.token)


def _check_token(token: str) -> None:
    if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(
            f"the token has {len(token)} characters; expected at least {MIN_TOKEN} letters, "
            f"digits or signs of ASCII without spaces; {_MAKE_ONE}."
        )


def find_token(given: str | None, file: Path | None, environ: Mapping[str, str]) -> str | None:
    """The token of --token, else of the file, else of the environment.

    Raises:
        SettingsError: the file cannot be read.
    """
    if given is not None:
        return given
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as err:
            raise SettingsError(
                f"cannot read the token file {file}: {err}. Expected one line of text; "
                f"{_MAKE_ONE} > {file}"
            ) from err
    return environ.get(TOKEN_VARIABLE) or None


def default_data() -> Path:
    """Where cases live when nobody says: CLINICEDGE_CASES, else in the user's data folder."""
    if own := os.environ.get("CLINICEDGE_CASES"):
        return Path(own)
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "clinicedge" / "cases"
