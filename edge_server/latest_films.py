"""The films that were read last, for the questions that follow an answer."""

import threading
from collections import OrderedDict

from ..runtime.film import Film

MAX_FILMS = 4
_MAX_BYTES = 24 * 1024 * 1024


class LatestFilms:
    """A few films by case. Any thread may call any method.

    Whoever asks about a case mostly asks about the one just answered: its film need not be
    decoded again, and as it is the same object, its lungs need not be searched again.

    Args:
        max_films, max_bytes: of pixels; the oldest go first, and the last one always stays.
    """

    def __init__(self, max_films: int = MAX_FILMS, max_bytes: int = _MAX_BYTES) -> None:
        self._films: OrderedDict[str, Film] = OrderedDict()
        self._max_films, self._max_bytes = max_films, max_bytes
        self._lock = threading.Lock()

    def get(self, case_id: str) -> Film | None:
        """None where it has to be read."""
        with self._lock:
            film = self._films.get(case_id)
            if film is not None:
                self._films.move_to_end(case_id)
            return film

    def keep(self, case_id: str, film: Film) -> None:
        """As the latest."""
        with self._lock:
            self._films[case_id] = film
            self._films.move_to_end(case_id)
            while len(self._films) > 1 and self._too_much():
                self._films.popitem(last=False)

    def _too_much(self) -> bool:
        pixels = sum(film.pixels.nbytes for film in self._films.values())
        return len(self._films) > self._max_films or pixels > self._max_bytes
