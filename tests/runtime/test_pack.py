"""A bundle as one file: the same bytes every time, and nothing else is ever unpacked."""

import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest
import tiny_bundles as tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_bundles import Scores

from clinicedge.runtime import Bundle, keys, load, signature
from clinicedge.runtime.archive import header
from clinicedge.runtime.bundle import read_bundle
from clinicedge.runtime.errors import (
    BundleError,
    IntegrityError,
    OutputError,
    PackError,
    SchemaError,
    SignatureError,
)
from clinicedge.runtime.pack import Unpacked, pack, unpack
from clinicedge.runtime.trust import Trust

BLOCK = 512
OURS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A signed pipeline with measurements."""
    folder = tmp_path_factory.mktemp("made")
    lungs = tiny.masks(folder / "tiny-lungs")
    crop = tiny.binary(folder / "crop", "tiny-lung-crop", Scores(region="lungs"))
    bundle = tiny.on_lungs(folder / "tiny-on-lungs", crop, lungs)
    secret = keys.read_private(keys.new_key(folder / "keys", "signer").private)
    data = (bundle.folder / "bundle.json").read_bytes()
    signature.write_signature(bundle.folder, signature.sign(data, secret))
    (bundle.folder / "measurements").mkdir()
    (bundle.folder / "measurements" / "a-latency.json").write_text("{}", encoding="utf-8")
    return bundle


@pytest.fixture(scope="module")
def packed(made: Bundle, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return pack(made, tmp_path_factory.mktemp("packed") / "a.tar").file.read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with something beside it that no unpacking may touch."""
    (tmp_path / "beside").write_text("mine", encoding="utf-8")
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def refused(data: bytes, place: Path) -> BundleError:
    """The error, after a look that nothing was written anywhere."""
    (place.parent / "given.tar").write_bytes(data)
    before = everything(place.parent)
    with pytest.raises(BundleError) as caught:
        put(data, place)
    assert everything(place.parent) == before
    return caught.value


def put(data: bytes, place: Path) -> Unpacked:
    """The pack in a file beside, unpacked."""
    file = place.parent / "given.tar"
    file.write_bytes(data)
    return unpack(file, place)


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b""
        for p in folder.rglob("*")
    }


def archive(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, data in members:
            info.size = len(data) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_packing_again_gives_the_same_bytes(made: Bundle, packed: bytes, tmp_path: Path) -> None:
    copy = shutil.copytree(made.folder, tmp_path / "copy")
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    again = pack(read_bundle(copy), tmp_path / "b.tar")
    assert again.file.read_bytes() == packed
    assert (again.bundle_id, again.bytes) == (made.id, len(packed))


def test_any_tar_reads_it(packed: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as tar:
        found = tar.getmembers()
    assert found[0].name == "bundle.json"
    assert found[1].name == "bundle.sig.json"
    assert {(m.mode, m.uid, m.gid, m.mtime, m.uname) for m in found} == {(0o644, 0, 0, 0, "")}
    assert not any("measurements" in m.name for m in found)


def test_out_comes_what_went_in(made: Bundle, packed: bytes, place: Path) -> None:
    file = place / "a.tar"
    file.write_bytes(packed)
    done = unpack(file, place / "out")
    assert not done.unchanged
    assert done.bundle.folder == place / "out" / "tiny-on-lungs"
    done.bundle.check_all()
    expected = everything(made.folder)
    inside = {k: v for k, v in expected.items() if not k.startswith("measurements")}
    assert everything(done.bundle.folder) == inside
    assert unpack(file, place / "out").unchanged


def test_measurements_go_along_where_asked(made: Bundle, place: Path) -> None:
    file = pack(made, place / "a.tar", measurements=True).file
    done = unpack(file, place / "out")
    assert everything(done.bundle.folder) == everything(made.folder)


def test_what_is_there_is_not_written_over(packed: bytes, place: Path) -> None:
    (place / "tiny-on-lungs").mkdir()
    (place / "tiny-on-lungs" / "notes").write_text("mine", encoding="utf-8")
    file = place.parent / "a.tar"
    file.write_bytes(packed)
    before = everything(place)
    with pytest.raises(OutputError, match="is there already"):
        unpack(file, place)
    assert everything(place) == before


def test_a_changed_bundle_is_not_packed(made: Bundle, tmp_path: Path) -> None:
    copy = shutil.copytree(made.folder, tmp_path / "copy")
    (model,) = copy.glob("members/tiny-lungs/artifacts/onnx/fp32/main.onnx")
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="was changed"):
        pack(read_bundle(copy), tmp_path / "a.tar")
    model.unlink()
    with pytest.raises(IntegrityError, match="cannot be read"):
        pack(read_bundle(copy), tmp_path / "a.tar")
    assert not (tmp_path / "a.tar").exists()


def test_what_the_device_refuses_is_not_unpacked(packed: bytes, place: Path) -> None:
    file = place.parent / "a.tar"
    file.write_bytes(packed)
    with pytest.raises(SignatureError, match="opens only bundles signed by"):
        unpack(file, place, Trust("refuse"))
    with pytest.raises(SignatureError, match="pinned"):
        unpack(file, place, Trust(pinned=("0" * 64,)))
    assert not list(place.iterdir())


@pytest.mark.parametrize("there", [False, True], ids=["new", "there already"])
def test_a_pack_cut_short_anywhere(there: bool, packed: bytes, place: Path) -> None:
    if there:
        put(packed, place)
    for length in {*range(0, len(packed), len(packed) // 40), 1, 511, 512, len(packed) - 1}:
        assert "cut short" in str(refused(packed[:length], place)), length


@pytest.mark.parametrize("there", [False, True], ids=["new", "there already"])
def test_more_after_the_end(there: bool, packed: bytes, place: Path) -> None:
    if there:
        put(packed, place)
    for more in (b"\0", bytes(BLOCK), packed):
        assert "more after the last file" in str(refused(packed + more, place))


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (member("../beside"), "another form|'../beside'"),
        (member("/etc/passwd"), "another form|passwd"),
        (member("bundle.json", tarfile.SYMTYPE, "/etc/passwd"), "a symbolic link"),
        (member("bundle.json", tarfile.LNKTYPE, "beside"), "a hard link"),
        (member("bundle.json", tarfile.CHRTYPE), "a device"),
        (member("bundle.json", tarfile.FIFOTYPE), "a pipe"),
        (member("bundle.json", tarfile.DIRTYPE), "a folder"),
        (member("bundle.json", tarfile.GNUTYPE_SPARSE), "another form"),
        (member("bundle.json", tarfile.XHDTYPE), "another form"),
    ],
)
def test_what_no_bundle_holds(info: tarfile.TarInfo, said: str, packed: bytes, place: Path) -> None:
    """As the first file, as the last, and beside the manifest."""
    intruder = archive((info, b"x" * 10))[: BLOCK * (2 if info.isreg() else 1)]
    error = refused(intruder + packed, place)
    assert isinstance(error, PackError)
    assert any(part in str(error) for part in said.split("|"))
    after_manifest = BLOCK + -(-int(packed[124:135], 8) // BLOCK) * BLOCK
    for at in (after_manifest, len(packed) - 2 * BLOCK):
        assert isinstance(refused(packed[:at] + intruder + packed[at:], place), PackError)


def test_a_file_twice(packed: bytes, place: Path) -> None:
    size = BLOCK + -(-int(packed[124:135], 8) // BLOCK) * BLOCK
    assert isinstance(refused(packed[:size] + packed, place), PackError)


@pytest.mark.parametrize("size", [2**30, 8**11 - 1])
def test_a_size_that_no_manifest_has(size: int, packed: bytes, place: Path) -> None:
    """A few bytes that say they are gigabytes: refused by the number, before anything is read."""
    assert "at most" in str(refused(header("bundle.json", size) + packed[BLOCK:], place))
    first = BLOCK + -(-int(packed[124:135], 8) // BLOCK) * BLOCK
    grown = header("bundle.sig.json", size)
    error = refused(packed[:first] + grown + packed[first + BLOCK :], place)
    assert "at most" in str(error)


def test_sizes_are_the_manifest_s(made: Bundle, place: Path) -> None:
    (inner,) = (m for r, m in made.models() if r == "lungs")
    file = pack(inner, place.parent / "a.tar").file
    data = file.read_bytes()
    with tarfile.open(file) as tar:
        found = next(m for m in tar.getmembers() if m.name.endswith(".onnx"))
    grown = header(found.name, found.size + BLOCK)
    changed = data[: found.offset] + grown + data[found.offset + BLOCK :]
    assert "as its manifest says" in str(refused(changed, place))


def test_compressed_archives_and_other_files(packed: bytes, place: Path) -> None:
    import gzip
    import zipfile

    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("bundle.json", bytes(2**20))
    given = (gzip.compress(packed), gzip.compress(bytes(2**20)), bomb.getvalue(), b"", b"x" * 4096)
    for data in given:
        assert isinstance(refused(data, place), PackError)
    with pytest.raises(PackError, match="no pack file"):
        unpack(place / "none.tar", place)


def test_a_manifest_that_claims_the_bundle_s_own_places(made: Bundle, place: Path) -> None:
    (inner,) = (m for r, m in made.models() if r == "lungs")
    data = (inner.folder / "bundle.json").read_bytes()
    for name in ("../beside", "/etc/passwd", "bundle.json", "members/x", "a//b", "a/./b", "c:x"):
        text = data.replace(b"acceptance/00.png", name.encode())
        pack_of_one = header("bundle.json", len(text)) + text + bytes(-len(text) % BLOCK)
        assert isinstance(refused(pack_of_one + bytes(2 * BLOCK), place), SchemaError), name


@pytest.mark.parametrize("name", ["..", "../x", ".hidden", "a/b", ""])
def test_a_name_that_is_no_folder_name(name: str, made: Bundle, place: Path) -> None:
    (inner,) = (m for r, m in made.models() if r == "lungs")
    text = (inner.folder / "bundle.json").read_bytes()
    text = text.replace(b'"tiny-lungs"', f'"{name}"'.encode())
    data = header("bundle.json", len(text)) + text + bytes(-len(text) % BLOCK)
    assert isinstance(refused(data + bytes(2 * BLOCK), place), PackError)


def test_paths_too_long_for_the_form() -> None:
    deep = "/".join(["members/" + "n" * 40] * 3) + "/artifacts/openvino/int8-guarded/main.bin"
    with tarfile.open(fileobj=io.BytesIO(header(deep, 0) + bytes(1024))) as tar:
        assert tar.getnames() == [deep]
    with pytest.raises(PackError, match="too long"):
        header("n" * 101, 1)
    with pytest.raises(PackError, match="at most"):
        header("n", 8**11)


# Where, as a number to be taken modulo the length; what is done there; a byte; bytes to put in.
CHANGES = st.lists(
    st.tuples(st.integers(0, 2**20), st.integers(0, 4), st.integers(0, 255), st.binary(min_size=1)),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("there", [False, True], ids=["new", "there already"])
@OURS
@given(changes=CHANGES)
def test_any_change_of_a_pack_is_refused_and_leaves_nothing(
    changes: list[tuple[int, int, int, bytes]], there: bool, packed: bytes, place: Path
) -> None:
    """Flip, cut, insert, drop or double blocks anywhere."""
    changed = bytearray(packed)
    for where, what, byte, more in changes:
        at = where % max(1, len(changed))
        block = at - at % BLOCK
        match what:
            case 0:
                changed[at : at + 1] = bytes([byte])
            case 1:
                del changed[at:]
            case 2:
                changed[at:at] = more
            case 3:
                del changed[block : block + BLOCK]
            case 4:
                changed[block:block] = changed[block : block + BLOCK]
    if there:
        put(packed, place)
    if bytes(changed) != packed:
        refused(bytes(changed), place)


NAMES = st.sampled_from(
    [
        "bundle.json",
        "bundle.sig.json",
        "../beside",
        "/tmp/x",
        "a/../../beside",
        "measurements/a.json",
    ]
)
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE]
)


@OURS
@given(
    rows=st.lists(st.tuples(NAMES, KINDS, st.binary(max_size=700)), max_size=4),
    form=st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    real=st.booleans(),
)
def test_archives_of_others_never_write_anything(
    rows: list[tuple[str, bytes, bytes]], form: int, real: bool, packed: bytes, place: Path
) -> None:
    """With and without a real manifest in front."""
    size = BLOCK + -(-int(packed[124:135], 8) // BLOCK) * BLOCK
    members = [(member(name, kind, "../beside"), data) for name, kind, data in rows]
    refused((packed[:size] if real else b"") + archive(*members, form=form), place)


def test_the_same_from_a_loaded_bundle(made: Bundle, packed: bytes, tmp_path: Path) -> None:
    assert pack(load(made.folder), tmp_path / "a.tar").file.read_bytes() == packed
