"""The written pages say what the code does."""

import re
import subprocess
import sys
from pathlib import Path

from clinicedge.cli import VERBS

ROOT = Path(__file__).parent.parent


def test_the_reference_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}; run `make docs`"


def test_every_verb_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [verb for verb in VERBS if f"clinicedge {verb}" not in readme]
    assert not missing


def test_every_command_the_readme_names_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = "\n".join(
        re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) + re.findall(r"`([^`\n]+)`", readme)
    )
    named = set(re.findall(r"^clinicedge ([a-z]+(?:-[a-z]+)*)", code, re.MULTILINE))
    assert named, "the README names no command"
    assert named <= set(VERBS), named - set(VERBS)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make ([a-z-]+)", code, re.MULTILINE))
    assert {"demo", "test"} <= targets
    for target in targets:
        assert f"\n{target}:" in makefile, target


def test_links_inside_the_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links {target}"
