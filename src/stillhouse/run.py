"""A run: a folder, the recipe that it follows, and a manifest of what happened in it."""

import errno
import json
import os
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from stillhouse.errors import RunError, StorageError
from stillhouse.recipe import Recipe
from stillhouse.recipes import dump, load
from stillhouse.recipes.differences import ELICITATION, EVALUATION, STEPS, Difference, differences
from stillhouse.records.store import write_atomic
from stillhouse.records.types import content_key

RECIPE, MANIFEST, LOCK, MODEL = "recipe.toml", "run.json", ".lock", "model"
COMPARISON, COMPARED = "compare.json", "compare.toml"
SCORES, KNOWN_SCORES = "scores.json", "known_scores.json"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Run:
    """A folder with one run in it. While a Run is open for work, no other process can open it so.

    The kernel drops the lock with the process that held it, so a killed run never leaves its folder locked.
    """

    folder: Path
    recipe: Recipe
    _lock: FileLock | None = field(repr=False, compare=False, default=None)

    @classmethod
    def create(cls, recipe: Recipe, folder: Path | str) -> "Run":
        """Begin a run, or go on with the one in `folder` if it follows the same recipe.

        Keys in `recipes.differences.CHANGEABLE` may have changed since; the change is logged in run.json.

        Raises:
            RunError: the folder cannot be written, is in use, holds something else, or a run of another recipe.
            StorageError: the disk is full.
        """
        folder = Path(folder).expanduser()
        _make(folder)
        lock = _acquire(folder)
        try:
            _take_up(recipe, folder)
        except BaseException:
            lock.release()
            raise
        return cls(folder, recipe, lock)

    @classmethod
    def open(cls, folder: Path | str, *, exclusive: bool = True) -> "Run":
        """The run in a folder; `exclusive=False` only looks, also while another process works in it.

        Raises:
            RunError: there is no run, or its recipe.toml was edited in a way that does not fit what was done.
        """
        folder = Path(folder).expanduser()
        if not (folder / RECIPE).is_file():
            there = "has no recipe.toml, so it is not a run" if folder.is_dir() else "does not exist"
            raise RunError(f"The run folder {folder} {there}; start one with: stillhouse run RECIPE --folder {folder}")
        recipe = load(folder / RECIPE)
        return cls.create(recipe, folder) if exclusive else cls(folder, recipe)

    def close(self) -> None:
        """Let other processes have the folder. Closing twice is harmless."""
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def records(self) -> Path:
        return self.folder / "records.jsonl"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def student_file(self) -> Path:
        return self.folder / "student.json"

    @property
    def refitted_file(self) -> Path:
        """The weights that were fitted in closed form before training, where the recipe asks for that."""
        return self.folder / "student.safetensors"

    @property
    def signals_file(self) -> Path:
        """What the teacher thinks of recorded answers, so that it need not read them twice."""
        return self.folder / "signals.safetensors"

    @property
    def model_dir(self) -> Path:
        return self.folder / MODEL

    @property
    def scores_file(self) -> Path:
        return self.folder / SCORES

    @property
    def known_scores_file(self) -> Path:
        """Scores of models that another run of a comparison has measured already, if they are there."""
        return self.folder / KNOWN_SCORES

    @property
    def report_file(self) -> Path:
        return self.folder / "report.html"

    @property
    def kitchen(self) -> Path:
        """What elicitation leaves: the sets of every lap, the account of every step, samples of what was dropped."""
        return self.folder / "elicit"

    def train_dir(self, lap: str) -> Path:
        return self.folder / "train" / lap

    @property
    def manifest(self) -> dict[str, Any]:
        """run.json as it is now."""
        return _read_manifest(self.folder)

    def note(self, stage: str, seconds: int | float, **facts: Any) -> None:
        """Add a stage's wall time (seconds) to run.json, and facts about it; a resumed stage sums its times."""
        manifest = self.manifest
        manifest["stages"][stage] = {
            "seconds": round(manifest["stages"].get(stage, {}).get("seconds", 0.0) + seconds, 3)
        }
        if facts:
            manifest["facts"][stage] = manifest["facts"].get(stage, {}) | facts
        _write_manifest(self.folder, manifest)


def find(name: Path | str) -> Path | None:
    """The folder of a run or comparison, by path or by its name under runs/; None if there is none."""
    for folder in (Path(name).expanduser(), Path("runs") / name):
        if (folder / RECIPE).is_file() or (folder / COMPARISON).is_file():
            return folder
    return None


def home_of(recipe: str) -> Path | None:
    """The folder of the run (or comparison) that a recipe file belongs to, if it is the one kept there."""
    path = Path(recipe).expanduser()
    folder = path if path.is_dir() else path.parent
    own = path.is_dir() or path.name in (RECIPE, COMPARED)
    return folder if own and any((folder / name).is_file() for name in (MANIFEST, COMPARISON)) else None


def _make(folder: Path) -> None:
    """Create the folder, and its parent as in runs/NAME; more than that missing is taken for a slip of the pen."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file, so it cannot be a run folder; use --folder another.")
    if not folder.parent.parent.is_dir():
        raise RunError(
            f"{folder} cannot be made: {folder.parent.parent} does not exist; create it or use --folder another."
        )
    try:
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
        strangers = sorted(p.name for p in folder.iterdir() if p.name[0] != ".")
    except OSError as error:
        raise _storage(folder, error) from error
    if strangers and not (folder / RECIPE).is_file():
        raise RunError(f"{folder} is not empty and not a run (it holds {strangers[0]}); use --folder another.")


def _acquire(folder: Path) -> FileLock:
    path = folder / LOCK
    lock = FileLock(path, is_singleton=True, thread_local=False)
    try:
        lock.acquire(timeout=0)
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
    except Timeout as error:
        raise RunError(
            f"{folder} is in use by {_holder(path)}; wait for it to end, or use --folder another."
        ) from error
    except OSError as error:
        raise _storage(folder, error) from error
    return lock


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"


def _take_up(recipe: Recipe, folder: Path) -> None:
    """Write recipe and manifest, unless they are there; then check what changed, and log it."""
    before = _recipe_of(folder)
    manifest = _read_manifest(folder)
    changed = differences(before, recipe) if before else []
    trained = (folder / MODEL).exists()
    fixed = (STEPS,) * trained + ELICITATION * (folder / "train").exists()
    refused = [c for c in changed if not c.allowed or any(c.matches(key) and not c.only_pace for key in fixed)]
    if refused:
        edited = load(folder / RECIPE) == recipe
        remedy = f"undo the edit of its {RECIPE}" if edited else f"go on with it: stillhouse run {folder / RECIPE}"
        raise RunError(
            f"{folder} holds a {'trained ' * trained}run of another recipe, which differs in {_list(refused)}; "
            f"use --folder another, or {remedy}"
        )
    if any(change.matches(EVALUATION) for change in changed):
        for stale in (SCORES, KNOWN_SCORES):
            (folder / stale).unlink(missing_ok=True)
    if before and manifest.get("recipe") and not changed:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    log = [{"when": now, "key": c.key, "old": c.old, "new": c.new} for c in changed]
    write_atomic(folder / RECIPE, dump(recipe))
    resolved = recipe.model_dump(mode="json")
    manifest |= {"recipe_key": content_key(resolved), "changes": manifest["changes"] + log, "recipe": resolved}
    _write_manifest(folder, manifest)


def _recipe_of(folder: Path) -> Recipe | None:
    """The recipe that the run has followed so far: as the manifest remembers it, or else recipe.toml."""
    remembered = _read_manifest(folder).get("recipe")
    try:
        if remembered:
            return Recipe.model_validate(remembered)
    except ValidationError:
        pass  # written by another version; recipe.toml decides, and says what is wrong with it
    return load(folder / RECIPE) if (folder / RECIPE).is_file() else None


def _read_manifest(folder: Path) -> dict[str, Any]:
    """run.json, or a new manifest where it is missing or damaged: all in it but the log can be made again."""
    new = {
        "stillhouse": version("stillhouse"),
        "recipe_key": "",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "stages": {},
        "facts": {},
        "changes": [],
    }
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return new
    except OSError as error:
        raise _storage(folder / MANIFEST, error) from error
    return new | found if isinstance(found, dict) else new


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    write_atomic(folder / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def _storage(path: Path, error: OSError) -> RunError | StorageError:
    if error.errno in FULL:
        return StorageError(f"No room left for {path} ({error.strerror}); free some and run the same command again.")
    return RunError(
        f"{path} cannot be used ({error.strerror}); check that it is yours to write, or use --folder another."
    )


def _list(found: list[Difference], limit: int = 6) -> str:
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(map(str, found[:limit])) + more
