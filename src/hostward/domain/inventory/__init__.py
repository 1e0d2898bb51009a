"""Many sessions at once: files of them, read and written as CSV, JSON, x3270's profiles or PuTTY's
sessions, and what an import of one would change.

Reading reports every mistake with its row and changes nothing. What is exported and read again is the same in every
field. Nothing here opens a file or knows a registry.
"""

from hostward.domain.inventory.planning import ImportPlan, Row, new_session_id, plan_import
from hostward.domain.inventory.profiles import MAX_PROFILES, export_profiles, is_profile_name, one_file
from hostward.domain.inventory.reading import MAX_BYTES, MAX_MISTAKES, MAX_ROWS, Format, ParsedInventory, parse
from hostward.domain.inventory.writing import export_csv, export_json
from hostward.domain.launching.putty import export as export_putty

__all__ = [
    "MAX_BYTES",
    "MAX_MISTAKES",
    "MAX_PROFILES",
    "MAX_ROWS",
    "Format",
    "ImportPlan",
    "ParsedInventory",
    "Row",
    "export_csv",
    "export_json",
    "export_profiles",
    "export_putty",
    "is_profile_name",
    "new_session_id",
    "one_file",
    "parse",
    "plan_import",
]
