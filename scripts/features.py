"""Writes docs/features.md from the tests' markers: what is claimed is what a test shows.

.venv/bin/python scripts/features.py           write the table
.venv/bin/python scripts/features.py --check   fail where the table is not what the tests say
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "features.md"
NAMES = {
    "R1": "Roles: Standalone, Master, Slave", "R2": "Database Status", "R3": "Details",
    "R4": "Database Network Adapter", "R5": "Global protocol", "R6": "Passphrase", "R7": "Trusted Certificates",
    "R8": "Add the Master on a Slave", "R9": "Add a Slave on the Master, Test Connection", "R10": "What replicates",
    "R11": "Changes on a Slave: change requests", "R12": "Remove a running Slave", "R13": "Remove a down Slave", "R14": "Standalone",
    "R10": "What replicates", "R15": "Packages", "R16": "Upgrade", "R17": "Troubleshooting", "R18": "Changed addresses (DHCP)", "R19": "Trust-manager algorithm", "R22": "Concurrency Lock Timeout", "R23": "Users, roles, assigned access", "R24": "Administrative Console", "R25": "Set-up, backup and restore",
    "R26": "Sessions: import, export, search", "R27": "Promotion", "R30": "History, undo, restore", "R31": "Doctor",
    "R33": "Health for load balancers",
    "F6": "Clocks apart, or set back", "F15": "Package uploads and copies that are cut or altered", "F16": "A user disabled, a server removed, while a Slave is away",
    "A1": "Messages between servers that nobody may believe", "A2": "Join codes, false Masters",
    "A4": "The database's ports", "A5": "A compromised Slave", "A6": "Test Connection aimed elsewhere",
    "A7": "Line breaks, options, YAML in what is entered", "A8": "Hostile names and archives", "A9": "Forged requests, frames, scripts in what is stored",
    "A10": "Logins: fixation, theft, guessing", "A11": "Secrets in answers, logs, files",
    "A12": "What isn't assigned", "A14": "Fuzzed API, noise on ports", "A15": "An edited or cut audit log",
    "A16": "A removed server uses what it still knows",
}  # fmt: skip


def markers() -> dict[str, list[str]]:
    """Test names by feature id, read from the source without running it."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = _ids([n.value for n in tree.body if isinstance(n, ast.Assign) and _named(n, "pytestmark")])
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
                for id_ in {*module, *_ids(node.decorator_list)}:
                    found.setdefault(id_, []).append(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def _named(node: ast.Assign, name: str) -> bool:
    return any(isinstance(t, ast.Name) and t.id == name for t in node.targets)


def _ids(expressions: list[ast.expr]) -> list[str]:
    calls = [c for e in expressions for c in ast.walk(e) if isinstance(c, ast.Call)]
    features = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "feature"]
    return [a.value for c in features for a in c.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]


def render(found: dict[str, list[str]]) -> str:
    lines = [
        "# Features, by the tests that prove them",
        "",
        "Made by `scripts/features.py` from the tests' markers; `make check` fails where it isn't what they say.",
        "",
        "| id | feature | tests | the first of them |",
        "| --- | --- | --- | --- |",
    ]
    for id_ in sorted(found, key=lambda i: (i[0], int(i[1:]))):
        tests = sorted(found[id_], key=lambda t: ("cluster" not in t, t))
        shown = ", ".join(f"`{t.rsplit('::', 1)[1]}`" for t in tests[:3])
        lines.append(f"| {id_} | {NAMES.get(id_, '')} | {len(tests)} | {shown} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    text = render(markers())
    if "--check" not in sys.argv:
        TABLE.write_text(text, encoding="utf-8")
        return 0
    if TABLE.exists() and TABLE.read_text(encoding="utf-8") == text:
        return 0
    print("docs/features.md isn't what the tests say: run .venv/bin/python scripts/features.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
