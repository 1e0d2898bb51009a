"""Many sessions at once: files of them, read and written as CSV or JSON, and what an import of one would change.

Reading reports every mistake with its row and changes nothing. What is exported and read again is the same in every
field. Nothing here opens a file or knows a registry.
"""

from hostward.domain.inventory.planning import ImportPlan, Row, new_session_id, plan_import
from hostward.domain.inventory.reading import MAX_BYTES, MAX_MISTAKES, MAX_ROWS, Format, ParsedInventory, parse
from hostward.domain.inventory.writing import export_csv, export_json

__all__ = [
    "MAX_BYTES",
    "MAX_MISTAKES",
    "MAX_ROWS",
    "Format",
    "ImportPlan",
    "ParsedInventory",
    "Row",
    "export_csv",
    "export_json",
    "new_session_id",
    "parse",
    "plan_import",
]
