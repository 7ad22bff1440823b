"""Records: what flows through the house, and the files that keep it."""

from stillhouse.records.journal import Journal, read_journal
from stillhouse.records.read import read_records, read_texts, split_by_hash
from stillhouse.records.store import read_jsonl, write_atomic, write_jsonl
from stillhouse.records.types import Message, Record, Response, content_key

__all__ = [
    "Journal",
    "Message",
    "Record",
    "Response",
    "content_key",
    "read_journal",
    "read_jsonl",
    "read_records",
    "read_texts",
    "split_by_hash",
    "write_atomic",
    "write_jsonl",
]
