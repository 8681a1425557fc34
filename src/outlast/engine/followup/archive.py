"""A folder as one file: the same content makes the same bytes, whenever it is packed."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

from outlast._system.files import remove_tree, rename
from outlast._system.syncing import fsync_file

#: The file by which an export is known.
ABOUT = "export.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip archive knows


def write_archive(folder: Path, target: Path) -> None:
    """Pack a folder under the target's name and remove it.

    Args:
        folder: Packed as a folder of the archive's name without its ending.
        target: ``….zip``, or else a gzipped tar archive; replaced if it is there.
    """
    top = _top(target)
    making = target.with_name(f".{target.name}.packing")
    making.unlink(missing_ok=True)
    files = sorted(each for each in folder.rglob("*") if each.is_file() or each.is_symlink())
    (_zip if target.name.endswith(".zip") else _tar)(making, folder, files, top)
    fsync_file(making)
    rename(making, target)
    remove_tree(folder)


def mark_in(archive: Path) -> str | None:
    """The mark of the export in an archive; ``None``: it is none, or not there."""
    name = f"{_top(archive)}/{ABOUT}"
    try:
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(archive) as packed:
                text = packed.read(name)
        else:
            with tarfile.open(archive) as packed_tar:
                member = packed_tar.extractfile(name)
                text = b"" if member is None else member.read()
        return str(json.loads(text)["mark"])
    except (OSError, KeyError, ValueError, TypeError, tarfile.TarError, zipfile.BadZipFile):
        return None


def _top(archive: Path) -> str:
    return archive.name.removesuffix(".zip").removesuffix(".tgz").removesuffix(".tar.gz")


def _tar(archive: Path, folder: Path, files: list[Path], top: str) -> None:
    def plain(about: tarfile.TarInfo) -> tarfile.TarInfo:
        about.mtime, about.uid, about.gid, about.uname, about.gname = 0, 0, 0, "", ""
        return about

    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as out,
    ):
        for path in files:
            out.add(path, f"{top}/{path.relative_to(folder)}", filter=plain)


def _zip(archive: Path, folder: Path, files: list[Path], top: str) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in files:
            about = zipfile.ZipInfo(f"{top}/{path.relative_to(folder)}", _EPOCH)
            about.external_attr, about.compress_type = (os.stat(path).st_mode & 0xFFFF) << 16, zipfile.ZIP_DEFLATED
            with path.open("rb") as source, out.open(about, "w", force_zip64=True) as packed:
                shutil.copyfileobj(source, packed)
