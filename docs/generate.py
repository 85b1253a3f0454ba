"""Write docs/reference anew from the command line's own help and the manifest's own records.

python docs/generate.py          writes
python docs/generate.py --check  writes nothing, exits with 1 where a page is out of date
"""

import contextlib
import inspect
import io
import os
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

from clinicedge.cli import VERBS, inner_verbs, main
from clinicedge.runtime import errors, figures, guarding, lungs, manifest, spec
from clinicedge.runtime.files import write_atomic

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- written by `make docs`; change the code, not this page -->\n"


def help_text(*words: str) -> str:
    """What `clinicedge WORDS --help` prints, 100 columns wide."""
    os.environ |= {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"}
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return out.getvalue().rstrip() + "\n"


def cli_page() -> str:
    """Every verb with its help."""
    parts = [NOTE, "# The `clinicedge` command\n", f"```text\n{help_text()}```\n"]
    words = [
        inner for verb in VERBS for inner in ((verb,), *((verb, i) for i in inner_verbs(verb)))
    ]
    parts += [f"## `clinicedge {' '.join(w)}`\n\n```text\n{help_text(*w)}```\n" for w in words]
    return "\n".join(parts)


def bundle_page() -> str:
    """Every record of bundle.json with its fields and types."""
    parts = [NOTE, "# bundle.json, schema 1\n", f"{inspect.getdoc(manifest)}\n"]
    homes = (manifest, figures, guarding, spec)
    records = [manifest.Manifest, *(r for home in homes for r in _records(home)), lungs.CropRule]
    for record in dict.fromkeys(records):
        rows = [f"| `{f.name}` | `{_type_name(f.type)}` |" for f in fields(record)]
        parts.append(
            f"## {record.__name__}\n\n{inspect.getdoc(record)}\n\n| field | type |\n|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    return "\n".join(parts)


def errors_page() -> str:
    """The tree of errors as its module draws it."""
    return f"{NOTE}\n# Errors\n\n```text\n{inspect.getdoc(errors)}\n```\n"


def _records(module: object) -> list[type]:
    own = getattr(module, "__name__", "")
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and is_dataclass(value) and value.__module__ == own
        and value is not spec.ModelSpec and value is not spec.WeightsSource
    ]  # fmt: skip


def _type_name(kind: object) -> str:
    name = kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
    for home in (manifest, figures, guarding, spec):
        name = name.replace(f"{home.__name__}.", "")
    name = name.replace("typing.", "")
    return name.replace("collections.abc.", "").replace("|", "or")


PAGES = {"cli.md": cli_page, "bundle.md": bundle_page, "errors.md": errors_page}


def run(check: bool) -> int:
    """Write the pages, or say which are out of date."""
    stale = []
    for name, make in PAGES.items():
        path, text = FOLDER / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            write_atomic(path, text.encode("utf-8"))
    print(("out of date: " if check else "written: ") + (", ".join(stale) or "nothing"))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(run("--check" in sys.argv[1:]))
