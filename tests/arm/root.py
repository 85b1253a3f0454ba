"""A small Debian for aarch64 in a folder: Python and the engines, and processors drawn in files.

Packages and wheels are unpacked, nothing of them runs while it is built. The folder is kept
between runs; where the versions changed, another takes its place.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

# What Python and the engines' wheels need of Debian; their own dependencies follow.
PACKAGES = ("python3", "libstdc++6", "libgomp1", "libatomic1")
# The versions of this machine, so that only the processor differs.
WHEELS = ("numpy", "onnxruntime", "ai-edge-litert", "openvino", "pillow", "typer", "rich")
# glibc 2.36 of Debian 12 runs wheels for any of these.
GLIBC = (17, 26, 27, 28, 31, 34, 35, 36)
DONE = ".done"
# Raise it when what is unpacked, and how, changes.
RECIPE = 1


def cache_folder() -> Path:
    """Where roots and bundles are kept between runs: clinicedge/arm in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "clinicedge" / "arm"


def aarch64_root(cache: Path) -> Path:
    """The folder for these versions, built where it is not there yet.

    Raises:
        subprocess.CalledProcessError: apt-get, dpkg-deb, tar or pip failed; it has printed why.
    """
    wanted = [f"{name}=={metadata.version(name)}" for name in WHEELS]
    recipe = "\n".join((str(RECIPE), *PACKAGES, *wanted))
    root = cache / f"root-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    if (root / DONE).is_file():
        return root
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".root-", dir=cache) as name:
        work = Path(name) / "root"
        _unpack_debian(work, Path(name))
        _unpack_wheels(work, wanted)
        (work / DONE).touch()
        for old in cache.glob("root-*"):
            shutil.rmtree(old)
        work.rename(root)
    return root


def _unpack_debian(root: Path, work: Path) -> None:
    """As apt resolves it for the other architecture, from this machine's own sources."""
    state = work / "apt"
    (state / "lists/partial").mkdir(parents=True)
    (state / "archives/partial").mkdir(parents=True)
    (state / "status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
        "Dir::Cache": str(state),
        "Dir::State": str(state),
        "Dir::State::status": str(state / "status"),
    }
    apt = ["apt-get", "-qq", *(w for k, v in settings.items() for w in ("-o", f"{k}={v}"))]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "-y", "--download-only", "install", *PACKAGES], check=True)
    # Debian's merged /usr: what a package puts into /lib belongs into /usr/lib.
    for merged in ("bin", "sbin", "lib"):
        (root / "usr" / merged).mkdir(parents=True)
        (root / merged).symlink_to(f"usr/{merged}")
    for package in sorted((state / "archives").glob("*.deb")):
        _unpack_package(package, root)
    for unread in ("doc", "man", "locale", "info", "lintian"):
        shutil.rmtree(root / "usr/share" / unread, ignore_errors=True)


def _unpack_package(package: Path, root: Path) -> None:
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as reader:
        subprocess.run(
            ["tar", "-x", "--no-same-owner", "--keep-directory-symlink", "-C", str(root)],
            stdin=reader.stdout,
            check=True,
        )
    if reader.returncode != 0:
        raise subprocess.CalledProcessError(reader.returncode, f"dpkg-deb {package.name}")


def _unpack_wheels(root: Path, wanted: list[str]) -> None:
    version = next((root / "usr/bin").glob("python3.*[0-9]")).name.removeprefix("python")
    tags = ["manylinux2014", *(f"manylinux_2_{minor}" for minor in GLIBC)]
    platforms = [word for tag in tags for word in ("--platform", f"{tag}_aarch64")]
    target = root / f"usr/local/lib/python{version}/dist-packages"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--only-binary=:all:", "--no-compile", "--implementation", "cp"),
            *("--python-version", version, *platforms, "--target", str(target), *wanted),
        ],
        check=True,
    )
