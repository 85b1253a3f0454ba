"""The command itself: verbs load late, refusals are one sentence, nothing warns."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from clinicedge.cli import VERBS, inner_verbs

Command = Callable[..., Any]
HERE = ("predict", "verify", "doctor", "tune", "profile", "evaluate")


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_a_file_and_a_help_text(verb: str, ce: Command) -> None:
    module = importlib.import_module(f"clinicedge.cli.{verb.replace('-', '_')}")
    inner = getattr(module, "app", None)
    assert module.run.__doc__ if inner is None else inner.info.help
    ran = ce(verb, "--help")
    assert ran.code == 0
    assert f"clinicedge {verb}" in ran.out


@pytest.mark.parametrize("verb", ["bundle", "keys"])
def test_every_inner_verb_has_help_with_examples_and_json(verb: str, ce: Command) -> None:
    for inner in inner_verbs(verb):
        out = ce(verb, inner, "--help").out
        assert f"  clinicedge {verb} {inner}" in out
        assert "--json" in out


@pytest.mark.parametrize("verb", HERE)
def test_help_has_examples_and_json(verb: str, ce: Command) -> None:
    out = ce(verb, "--help").out
    assert "Examples:" in out
    assert f"  clinicedge {verb}" in out
    assert "--json" in out


def test_the_list_of_verbs(ce: Command) -> None:
    out = ce("--help").out
    assert all(verb in out for verb in VERBS)
    assert "not a diagnosis" in out.replace("\n  ", " ")


@pytest.mark.parametrize("words", [("nope",), (), ("predict",), ("predict", "--wrong"), ("-x",)])
def test_wrong_usage_exits_with_2(words: tuple[str, ...], ce: Command) -> None:
    assert ce(*words).code == 2


def test_the_version(ce: Command) -> None:
    assert ce("--version").out.startswith("clinicedge 0")


def test_a_fresh_process_warns_of_nothing_and_imports_no_engine() -> None:
    code = (
        "import sys, json\n"
        "from clinicedge.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stderr.strip().splitlines()[-1]))
    heavy = {"torch", "tensorflow", "onnxruntime", "openvino", "matplotlib", "PIL"}
    assert not heavy & loaded
