"""One self-contained page and one table from a run folder or a compare folder."""

from stillhouse.report.page import summary_table, write_report
from stillhouse.report.tables import Table

__all__ = ["Table", "summary_table", "write_report"]
