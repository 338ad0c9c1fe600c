"""What the ledger's books add up to. On the store's thread."""

from __future__ import annotations

from collections.abc import Iterator

from sqlite_utils import Database

from ..ledger import Figures, Row

Key = tuple[str, str, str, str]

# Whatever nobody kept is thrown away unless a job holds it that may go on.
EVALUATIONS = """
    SELECT s.week, j.workflow, j.model, SUM(s.seconds),
        CASE
            WHEN s.kept THEN 'kept'
            WHEN EXISTS (
                SELECT 1 FROM ledger_holders h JOIN ledger_jobs o ON o.job_id = h.job_id
                WHERE h.stretch_id = s.id AND o.fate = 'open'
            ) THEN 'undecided'
            ELSE 'thrown'
        END AS figure,
        CASE WHEN s.kept THEN '' ELSE COALESCE(s.reason, (
            SELECT o.reason FROM ledger_holders h JOIN ledger_jobs o ON o.job_id = h.job_id
            WHERE h.stretch_id = s.id ORDER BY o.rowid DESC LIMIT 1
        ), '') END
    FROM ledger_stretches s JOIN ledger_jobs j ON j.job_id = s.job_id
    GROUP BY 1, 2, 3, 5, 6
"""
OTHERS = """
    SELECT o.week, j.workflow, j.model, SUM(o.seconds),
        CASE
            WHEN o.figure <> 'saved' THEN o.figure
            WHEN j.is_draft THEN 'saved_by_drafts'
            ELSE 'saved_by_aborts'
        END,
        o.reason
    FROM ledger_others o JOIN ledger_jobs j ON j.job_id = o.job_id
    GROUP BY 1, 2, 3, 5, 6
"""
SPARED = """
    SELECT COALESCE(SUM(seconds), 0) FROM ledger_others WHERE figure IN ('replayed', 'saved')
"""
COMPUTED = ("kept", "undecided", "thrown")


def rows(db: Database) -> list[Row]:
    """The newest week first."""
    found: dict[Key, Figures] = {}
    for key, figures in _parts(db):
        found[key] = found.get(key, Figures()) + figures
    return [
        Row(*key, figures) for key, figures in sorted(found.items(), key=lambda one: one[0], reverse=True)
    ]


def spared_s(db: Database) -> float:
    """Seconds that no model had to work: replayed and saved."""
    return db.execute(SPARED).fetchone()[0]


def _parts(db: Database) -> Iterator[tuple[Key, Figures]]:
    for sql in (EVALUATIONS, OTHERS):
        for week, workflow, model, seconds, figure, reason in db.execute(sql).fetchall():
            told = {f"{figure}_s": seconds}
            if figure in COMPUTED:
                told["computed_s"] = seconds
            why = reason if figure not in ("kept", "undecided", "replayed") else ""
            yield (week, workflow, model, why), Figures(**told)
