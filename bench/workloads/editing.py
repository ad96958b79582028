"""What the model host is asked in its benches: a function to edit, and a long real file to read."""

from __future__ import annotations

from pathlib import Path

from backtrail_model import weights

FUNCTION = """def summary(rows, *, skip_empty=True):
    total = 0
    names = []
    for row in rows:
        if skip_empty and not row["name"]:
            continue
        total += row["count"] * row["price"]
        names.append(row["name"].strip().lower())
    return {"total": total, "names": sorted(names), "mean": total / max(len(names), 1)}
"""
LONG = Path(weights.__file__).read_text(encoding="utf-8")
