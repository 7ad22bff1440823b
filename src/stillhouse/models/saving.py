"""A model folder in Hugging Face format that is either whole or absent."""

import shutil
from pathlib import Path

from stillhouse.models.load import LanguageModel, quiet
from stillhouse.records.store import storing, sync_folder


def save_model(lm: LanguageModel, folder: Path) -> None:
    """Write weights, configuration and tokenizer to a temporary folder, then move it into place.

    Raises StorageError when the disk is full; nothing is left behind then.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    size = sum(p.nbytes for p in lm.model.parameters())
    with storing(folder, size):
        partial.mkdir(parents=True)
        try:
            with quiet():
                lm.model.save_pretrained(partial)
            lm.tokenizer.save_pretrained(partial)
            partial.rename(folder)
        finally:
            if partial.exists():
                shutil.rmtree(partial)
    sync_folder(folder.parent)
