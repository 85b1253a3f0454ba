"""`clinicedge keys` and `clinicedge bundle`, and the verbs that go by them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_bundles as tiny
from signing import unsigned_pipeline
from tiny_bundles import Scores

from clinicedge.runtime import Bundle, load

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unsigned_pipeline(tmp_path_factory.mktemp("made"))


@pytest.fixture
def tiny_one(made: Path, tmp_path: Path) -> Bundle:
    return load(shutil.copytree(made, tmp_path / made.name))


def test_from_a_new_key_to_a_device_that_opens_nothing_else(
    ce: Command, tiny_one: Bundle, tmp_path: Path
) -> None:
    """The engineer's side, the file, and the device's side."""
    key = json.loads(ce("keys", "new", "hospital-ai", "--json").out)
    signed = ce("bundle", "sign", tiny_one.folder, "--key", "hospital-ai")
    assert signed.code == 0
    assert key["key_id"] in signed.out
    file = tmp_path / "chest.bundle.tar"
    packed = json.loads(ce("bundle", "pack", tiny_one.folder, "--out", file, "--json").out)
    assert packed["bundle_id"] == tiny_one.id

    assert ce("keys", "policy", "--unsigned", "refuse").code == 0
    refused = ce("bundle", "unpack", file, "--out", tmp_path / "device")
    assert refused.code == 2
    assert "opens only bundles signed by a key it trusts (none)" in refused.err
    assert not (tmp_path / "device" / "tiny-on-lungs").exists()

    assert ce("keys", "trust", key["public"]).code == 0
    done = ce("bundle", "unpack", file, "--out", tmp_path / "device")
    assert done.code == 0
    assert "signed by hospital-ai" in done.out
    folder = tmp_path / "device" / "tiny-on-lungs"
    verified = json.loads(ce("verify", folder, "--json").out)
    assert verified["passed"]
    assert verified["signed"]["name"] == "hospital-ai"
    assert "signature" not in verified["not_made"]

    assert ce("keys", "untrust", "hospital-ai").code == 0
    assert ce("verify", folder).code == 2


def test_unpacking_again_takes_over_a_new_signature(
    ce: Command, tiny_one: Bundle, tmp_path: Path
) -> None:
    key = json.loads(ce("keys", "new", "hospital-ai", "--json").out)
    asked = ("bundle", "unpack", tmp_path / "a.tar", "--out", tmp_path / "device")
    ce("bundle", "pack", tiny_one.folder, "--out", tmp_path / "a.tar")
    assert ": written" in ce(*asked).out
    ce("bundle", "sign", tiny_one.folder, "--key", "hospital-ai")
    ce("bundle", "pack", tiny_one.folder, "--out", tmp_path / "a.tar")
    ce("keys", "trust", key["public"])
    assert "now with the signature of the pack" in ce(*asked).out
    again = json.loads(ce(*asked, "--json").out)
    assert (again["unchanged"], again["resigned"]) == (True, False)
    assert again["signed"]["name"] == "hospital-ai"


def test_options_refuse_more_for_one_command(
    ce: Command, tiny_one: Bundle, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = (("verify", tiny_one.folder), ("predict", tiny_one.folder, film))
    for words in asks:
        assert "opens only bundles signed" in ce(*words, "--require-signed").err
        assert "opens only pinned ones" in ce(*words, "--pin", "0" * 64).err
    assert ce("verify", tiny_one.folder, "--pin", tiny_one.id).code == 0
    assert "opens only bundles signed" in ce("serve", tiny_one.folder, "--require-signed").err
    monkeypatch.setenv("CLINICEDGE_UNSIGNED", "refuse")
    for words in (*asks, ("serve", tiny_one.folder), ("doctor", tiny_one.folder)):
        ran = ce(*words)
        assert ran.code == 2
        assert "opens only bundles signed" in ran.err


def test_a_revoked_key(ce: Command, tiny_one: Bundle, tmp_path: Path) -> None:
    key = json.loads(ce("keys", "new", "hospital-ai", "--json").out)
    ce("bundle", "sign", tiny_one.folder, "--key", "hospital-ai")
    ce("keys", "trust", key["public"])
    done = ce("keys", "revoke", "hospital-ai", "--why", "laptop stolen")
    assert done.code == 0
    assert key["key_id"] in done.out
    assert "signed by a revoked key (hospital-ai" in ce("verify", tiny_one.folder).out
    listed = ce("keys", "list")
    assert "revoked here" in listed.out
    assert "laptop stolen" in listed.out
    (told,) = json.loads(ce("keys", "list", "--json").out)["revoked"]
    assert (told["key_id"], told["name"]) == (key["key_id"], "hospital-ai")
    assert "never trusted again" in ce("keys", "trust", key["public"]).err
    assert ce("keys", "revoke", "hospital-ai").code == 0, "again, by the name that it had"
    other = json.loads(ce("keys", "revoke", "1" * 64, "--json").out)
    assert (other["key_id"], other["name"]) == ("1" * 64, "")
    assert "no key 'nobody'" in ce("keys", "revoke", "nobody").err
    ce("keys", "policy", "--unsigned", "refuse")
    for verb in ("verify", "serve"):
        assert "signed by a revoked key" in ce(verb, tiny_one.folder).err


def test_show_tells_what_the_device_would_do(ce: Command, tiny_one: Bundle) -> None:
    ran = ce("bundle", "show", tiny_one.folder)
    assert tiny_one.id in ran.out
    assert "this device opens it" in ran.out
    ce("keys", "policy", "--pin", "0" * 64)
    told = json.loads(ce("bundle", "show", tiny_one.folder, "--json").out)
    assert "opens only pinned ones" in told["refused"]
    assert told["signed"]["state"] == "unsigned"
    assert [m["path"] for m in told["models"]] == ["lungs", "classifier"]
    (tiny_one.folder / "bundle.sig.json").write_text("{}", encoding="utf-8")
    assert "signature: WRONG" in ce("bundle", "show", tiny_one.folder).out


def test_policy_pins(ce: Command) -> None:
    one, two = "1" * 64, "2" * 64
    ce("keys", "policy", "--pin", one, "--pin", two)
    assert json.loads(ce("keys", "policy", "--json").out)["pinned"] == [one, two]
    ce("keys", "policy", "--unpin", one)
    assert json.loads(ce("keys", "list", "--json").out)["pinned"] == [two]
    assert "is not pinned" in ce("keys", "policy", "--unpin", one).err
    assert "any bundle id may open" in ce("keys", "policy", "--unpin", two).out
    assert "64 hex digits" in ce("keys", "policy", "--pin", "12").err


def test_a_locked_key(ce: Command, tiny_one: Bundle, tmp_path: Path) -> None:
    words = tmp_path / "pass.txt"
    words.write_text("secret words\n", encoding="utf-8")
    out = ("--out", tmp_path / "keys")
    assert ce("keys", "new", "ci", *out, "--passphrase-file", words).code == 0
    key = tmp_path / "keys" / "ci.key.pem"
    asked = ("bundle", "sign", tiny_one.folder, "--key", key, "--passphrase-file")
    assert json.loads(ce(*asked, words, "--json").out)["changed"] is True
    assert "was signed already" in ce(*asked, words).out
    words.write_text("others\n", encoding="utf-8")
    assert "passphrase is wrong" in ce(*asked, words).err
    words.write_text("", encoding="utf-8")
    assert "is empty" in ce(*asked, words).err
    assert "never written over" in ce("keys", "new", "ci", *out).err
    shown = json.loads(ce("keys", "show", tmp_path / "keys" / "ci.pub.pem", "--json").out)
    assert shown["trusted_as"] is None
    assert "BEGIN PUBLIC KEY" in shown["pem"]
    assert "no key 'nobody'" in ce("keys", "show", "nobody").err


def test_a_changed_bundle_is_neither_signed_nor_packed(
    ce: Command, tiny_one: Bundle, tmp_path: Path
) -> None:
    ce("keys", "new", "mine")
    (model,) = tiny_one.folder.glob("members/tiny-lungs/artifacts/onnx/fp32/main.onnx")
    model.write_bytes(model.read_bytes()[:-1])
    for words in (("sign", tiny_one.folder, "--key", "mine"), ("pack", tiny_one.folder)):
        ran = ce("bundle", *words)
        assert ran.code == 2
        assert "main.onnx" in ran.err
    assert not (tiny_one.folder / "bundle.sig.json").exists()


def test_diff_says_what_changed_and_how_it_ends(
    ce: Command, tiny_one: Bundle, tmp_path: Path
) -> None:
    assert ce("bundle", "diff", tiny_one.folder, tiny_one.folder).code == 0
    lungs = tiny.masks(tmp_path / "b" / "tiny-lungs")
    net = Scores(region="lungs", thresholds=(0.6,))
    crop = tiny.binary(tmp_path / "b" / "crop", "tiny-lung-crop", net)
    other = tiny.on_lungs(tmp_path / "b" / "tiny-on-lungs", crop, lungs)
    ran = ce("bundle", "diff", tiny_one.folder, other.folder)
    assert ran.code == 1
    assert "classifier: threshold of onnx/fp32 PNEUMONIA f32: 0.5 → 0.6" in ran.out
    told = json.loads(ce("bundle", "diff", tiny_one.folder, other.folder, "--json").out)
    assert {c["area"] for c in told["changes"]} == {"members", "thresholds"}
    assert told["decisions"] is None
