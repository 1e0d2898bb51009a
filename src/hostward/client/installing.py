"""Packages at a desk: unpacked aside and put in place by one rename, remembered with each file's SHA-256.

What is removed later is what was put there and is still so: a file that somebody has changed or added stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hostward.client.private import private_dir, state_dir, unwritable, write_private
from hostward.domain.errors import Conflict, HostwardError, InvalidInput
from hostward.domain.launching.names import plain
from hostward.packages.archive import opened, pieces_of


@dataclass(frozen=True, slots=True)
class Offered:
    """A package as a server gives it to who may have it."""

    id: str
    name: str
    version: str
    size: int
    sha256: str
    installers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Installed:
    """What is installed: where, from which file (its SHA-256), and the SHA-256 of each file in it by its path there."""

    id: str
    name: str
    version: str
    sha256: str
    path: str
    files: Mapping[str, str]


class Installations:
    """The registry of one user's installed packages, and the places where they are. `data` is where packages go."""

    def __init__(self, data: Path, state: Path) -> None:
        self._data, self._state = data, state
        self._file = state / "packages.json"

    def all(self) -> list[Installed]:
        """By name. Raises InvalidInput where the registry can't be read."""
        try:
            kept: list[dict[str, Any]] = json.loads(self._file.read_text(encoding="utf-8"))
            return sorted((Installed(**one) for one in kept), key=lambda i: i.name.casefold())
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            raise InvalidInput(f"{self._file} can't be read ({error}).", remedy="Put it back, or delete it.") from error

    def of(self, package_id: str) -> Installed | None:
        return next((i for i in self.all() if i.id == package_id), None)

    def partial(self, offered: Offered) -> Path:
        """Where its download is kept until it is whole."""
        return private_dir(self._state / "downloads") / f"{offered.sha256}.part"

    def install(self, offered: Offered, file: Path) -> tuple[Installed, list[str]]:
        """Unpack a whole download, in the place of an earlier version; with the files of that which were changed since,
        where they are kept. Raises InvalidInput: then nothing was changed."""
        found = _sha256(file)
        if found != offered.sha256:
            file.unlink(missing_ok=True)
            raise InvalidInput(
                f"The download of {offered.name} isn't what the server says it is; nothing was installed.",
                remedy="Try again; where it happens twice, tell your administrator.",
                code="package-differs",
            )
        before = self.of(offered.id)
        target = Path(before.path) if before is not None else self._free_place(offered.name)
        private_dir(self._data)
        aside = self._data / f".{target.name}.{secrets.token_hex(4)}"
        try:
            files = unpack(file, aside)
            kept = _keep_changed(before, target) if before is not None else []
            if before is None and target.exists():
                raise Conflict(f"{target} is in the way.", remedy="Move it away, then try again.")
            _replace(target, aside)
        except OSError as error:
            raise unwritable(target, error) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        installed = Installed(offered.id, offered.name, offered.version, offered.sha256, str(target), files)
        self._save([*(i for i in self.all() if i.id != offered.id), installed])
        file.unlink(missing_ok=True)
        return installed, kept

    def uninstall(self, installed: Installed) -> list[str]:
        """Remove what was installed; the files that stay, because they were changed or added since."""
        target = Path(installed.path)
        for name, sha256 in installed.files.items():
            file = target / name
            with suppress(OSError):
                if not file.is_symlink() and _sha256(file) == sha256:
                    file.unlink()
        left = sorted(str(p) for p in target.rglob("*") if not p.is_dir() or p.is_symlink())
        for folder in sorted((p for p in target.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            target.rmdir()
        self._save([i for i in self.all() if i.id != installed.id])
        return left

    def _free_place(self, name: str) -> Path:
        taken = {i.path for i in self.all()}
        places = (self._data / f"{plain(name)}{n}" for n in ("", *(f"-{n}" for n in range(2, 1000))))
        return next(p for p in places if str(p) not in taken)

    def _save(self, installed: Sequence[Installed]) -> None:
        write_private(self._file, json.dumps([asdict(i) for i in installed], indent=2) + "\n")


def installations() -> Installations:
    """This user's (XDG)."""
    base = os.environ.get("XDG_DATA_HOME") or ""
    data = Path(base) if base else Path.home() / ".local" / "share"
    return Installations(data / "hostward" / "packages", state_dir())


def unpack(file: Path, target: Path) -> dict[str, str]:
    """Into a folder that isn't there yet, which is left away where anything is wrong; each file's SHA-256 by its path.
    No entry leads out of the folder, is a link, or is more than it says, whoever made the file. Raises InvalidInput,
    OSError."""
    try:
        with opened(file) as archive:
            target.mkdir(mode=0o700)
            return dict(_extract(archive, target))
    except (InvalidInput, OSError):
        shutil.rmtree(target, ignore_errors=True)
        raise


def _extract(archive: zipfile.ZipFile, target: Path) -> Iterator[tuple[str, str]]:
    for info in archive.infolist():
        place = target.joinpath(*info.filename.rstrip("/").split("/"))
        if info.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with place.open("xb") as out:
            for part in pieces_of(archive, info):
                digest.update(part)
                out.write(part)
            out.flush()
            os.fsync(out.fileno())
        executable = bool((info.external_attr >> 16) & 0o100)
        place.chmod(0o700 if executable else 0o600)
        yield info.filename, digest.hexdigest()


def _keep_changed(before: Installed, target: Path) -> list[str]:
    """Copies of the files that aren't as they were installed, beside the package's folder; their paths."""
    changed = [p for p in target.rglob("*") if p.is_file() and not p.is_symlink()]
    changed = [p for p in changed if before.files.get(p.relative_to(target).as_posix()) != _sha256(p)]
    if not changed:
        return []
    place = target.with_name(f"{target.name}.changed-{secrets.token_hex(4)}")
    for file in changed:
        copy = place / file.relative_to(target)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)
    return sorted(str(place / p.relative_to(target)) for p in changed)


def _replace(target: Path, new: Path) -> None:
    """One of the two is there at every moment but one, which a crash leaves with the old beside."""
    old = target.with_name(f".{target.name}.{secrets.token_hex(4)}.old")
    there = target.exists()
    if there:
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if there:
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def check_offer(value: Mapping[str, Any]) -> Offered:
    """What a server says of a package. Raises HostwardError for what can't be."""
    try:
        offered = Offered(
            str(value["id"]), str(value["name"]), str(value["version"]), int(value["size"]), str(value["sha256"]),
            tuple(str(i) for i in value["installers"]),
        )  # fmt: skip
        if len(bytes.fromhex(offered.sha256)) != 32:
            raise ValueError("that is no SHA-256")
    except (KeyError, TypeError, ValueError) as error:
        raise HostwardError("The server's packages can't be read; it runs another version.") from error
    return offered
