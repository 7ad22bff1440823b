"""Search over a set of records, and hard negatives from it."""
