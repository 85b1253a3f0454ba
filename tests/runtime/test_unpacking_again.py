"""A pack of a bundle that is there already: which signature stays."""

import shutil
from pathlib import Path
from typing import Literal

import pytest
import tiny_bundles as tiny

from clinicedge.runtime import Bundle, keys, load, signature
from clinicedge.runtime.bundle import read_bundle
from clinicedge.runtime.errors import OutputError, SignatureError
from clinicedge.runtime.pack import pack, unpack
from clinicedge.runtime.trust import Trust, TrustedKey


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny.binary(tmp_path_factory.mktemp("made") / "tiny")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def state(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


class Keys:
    """Two keys; `by` gives the made bundle's pack as one of them signs it, or nobody."""

    def __init__(self, made: Bundle, folder: Path) -> None:
        self._made, self._folder = made, folder
        self._pairs = {name: keys.new_key(folder / "pair", name) for name in ("old", "new")}

    def by(self, name: str) -> Path:
        copy = shutil.copytree(self._made.folder, self._folder / f"copy-{name}")
        if name:
            secret = keys.read_private(self._pairs[name].private)
            data = (copy / "bundle.json").read_bytes()
            signature.write_signature(copy, signature.sign(data, secret))
        found = pack(read_bundle(copy), self._folder / f"{name}.tar").file
        shutil.rmtree(copy)
        return found

    def trust(self, *names: str, unsigned: Literal["allow", "refuse"] = "allow") -> Trust:
        found = ((name, self._pairs[name].key) for name in names)
        return Trust(unsigned, keys=tuple(TrustedKey(1, n, k.id, k.raw.hex()) for n, k in found))


@pytest.fixture
def pair(made: Bundle, tmp_path: Path) -> Keys:
    return Keys(made, tmp_path / "keys")


@pytest.mark.parametrize("first", ["", "old"])
def test_a_bundle_that_is_there_takes_over_a_trusted_signature(
    first: str, pair: Keys, place: Path
) -> None:
    both = pair.trust("old", "new")
    before = unpack(pair.by(first), place, both).bundle.folder
    signed = pair.by("new")
    done = unpack(signed, place, both)
    assert (done.unchanged, done.resigned, done.bundle.signed.name) == (False, True, "new")
    assert load(before, pair.trust("new", unsigned="refuse")).signed.name == "new"
    again = unpack(signed, place, both)
    assert (again.unchanged, again.resigned) == (True, False)


def test_a_signature_that_is_there_gives_way_to_no_untrusted_one(pair: Keys, place: Path) -> None:
    unpack(pair.by("old"), place, pair.trust("old"))
    before = state(place)
    with pytest.raises(OutputError, match=r"another signature.*does not know.*keys trust"):
        unpack(pair.by("new"), place, pair.trust("old"))
    done = unpack(pair.by(""), place, pair.trust("old"))
    assert (done.unchanged, done.bundle.signed.name) == (True, "old")
    with pytest.raises(SignatureError, match="unsigned"):
        unpack(pair.by(""), place, pair.trust("old", unsigned="refuse"))
    assert state(place) == before


def test_an_unsigned_bundle_that_is_there_takes_any_right_signature(
    pair: Keys, place: Path
) -> None:
    folder = unpack(pair.by(""), place, pair.trust()).bundle.folder
    assert unpack(pair.by("new"), place, pair.trust()).resigned
    (folder / "bundle.sig.json").write_text("{}", encoding="utf-8")
    with pytest.raises(OutputError, match="another signature"):
        unpack(pair.by("new"), place, pair.trust())
    assert unpack(pair.by("new"), place, pair.trust("new")).resigned, "a damaged one is mended"
