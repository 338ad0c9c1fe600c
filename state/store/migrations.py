"""The database's schema, as numbered steps. Append only: a step that shipped is never edited."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("midrun")


def _run(db: Database, *statements: str) -> None:
    for statement in statements:
        db.execute(statement)


@migrations()
def m0001_jobs(db: Database) -> None:
    """Jobs, their runs through ComfyUI's queue, and the audit trail."""
    _run(
        db,
        """
        CREATE TABLE job_debug_state (
            id INTEGER PRIMARY KEY,
            job_id TEXT NOT NULL,
            state TEXT NOT NULL,
            held INTEGER NOT NULL DEFAULT 0,
            pause_reason TEXT,
            node_id TEXT,
            step INTEGER NOT NULL DEFAULT 0,
            total_steps INTEGER,
            evaluations INTEGER NOT NULL DEFAULT 0,
            sigma REAL,
            paused_at_step INTEGER,
            modified_params_json TEXT NOT NULL DEFAULT '{}',
            intermediate_previews_json TEXT NOT NULL DEFAULT '[]',
            abort_reason TEXT,
            abort_mode TEXT,
            error_json TEXT,
            gpu_released INTEGER NOT NULL DEFAULT 0,
            queue_policy TEXT NOT NULL DEFAULT 'auto',
            active_s REAL NOT NULL DEFAULT 0,
            paused_s REAL NOT NULL DEFAULT 0,
            mean_step_s REAL,
            prompt_json TEXT NOT NULL,
            extra_data_json TEXT NOT NULL,
            outputs_json TEXT,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX uq_job_debug_state_job_id ON job_debug_state(job_id)",
        "CREATE INDEX idx_job_debug_state_state ON job_debug_state(state)",
        # Not on updates of updated_at itself: the trigger's own update must not fire it again.
        """
        CREATE TRIGGER set_updated_at AFTER UPDATE OF state, held, pause_reason, node_id, step, total_steps,
            evaluations, sigma, paused_at_step, modified_params_json, intermediate_previews_json,
            abort_reason, abort_mode, error_json, gpu_released, queue_policy, active_s, paused_s, mean_step_s,
            prompt_json, extra_data_json, outputs_json
        ON job_debug_state FOR EACH ROW
        BEGIN
            UPDATE job_debug_state SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
        END
        """,
        "CREATE TABLE job_runs (id INTEGER PRIMARY KEY, job_id TEXT NOT NULL, prompt_id TEXT NOT NULL)",
        "CREATE UNIQUE INDEX uq_job_runs_prompt_id ON job_runs(prompt_id)",
        "CREATE INDEX idx_job_runs_job_id ON job_runs(job_id)",
        """
        CREATE TABLE job_events (
            id INTEGER PRIMARY KEY,
            job_id TEXT NOT NULL,
            kind TEXT NOT NULL,
            state_from TEXT NOT NULL,
            state_to TEXT NOT NULL,
            step INTEGER NOT NULL,
            at TEXT NOT NULL,
            detail_json TEXT NOT NULL DEFAULT '{}'
        )
        """,
        "CREATE INDEX idx_job_events_job_id ON job_events(job_id)",
    )


@migrations()
def m0002_warnings(db: Database) -> None:
    """What a job warns of, which secrets it had, and what failures are counted by."""
    _run(
        db,
        "ALTER TABLE job_debug_state ADD COLUMN warnings_json TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE job_debug_state ADD COLUMN secret_keys_json TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE job_debug_state ADD COLUMN node_class TEXT",
        "ALTER TABLE job_debug_state ADD COLUMN model_file TEXT",
        "CREATE INDEX idx_job_debug_state_updated_at ON job_debug_state(updated_at)",
    )


@migrations()
def m0003_many_jobs(db: Database) -> None:
    """Failures and ended jobs are told from indexes: a row is mostly prompt, which is slow to read past."""
    _run(
        db,
        """
        CREATE INDEX idx_job_debug_state_failures
        ON job_debug_state(updated_at, step, node_class, model_file, abort_reason, error_json)
        WHERE state IN ('aborted', 'failed')
        """,
        """
        CREATE INDEX idx_job_debug_state_ended ON job_debug_state(updated_at, state, job_id)
        WHERE state IN ('completed', 'aborted', 'failed')
        """,
        "DROP INDEX idx_job_debug_state_updated_at",
    )


@migrations()
def m0004_time_travel(db: Database) -> None:
    """What a rewind left behind, which job another was forked from, and breakpoints."""
    _run(
        db,
        "ALTER TABLE job_debug_state ADD COLUMN take_json TEXT",
        "ALTER TABLE job_debug_state ADD COLUMN parent_id TEXT",
        "ALTER TABLE job_debug_state ADD COLUMN parent_step INTEGER",
        "ALTER TABLE job_debug_state ADD COLUMN paused_before TEXT",
        "ALTER TABLE job_debug_state ADD COLUMN breakpoints_json TEXT NOT NULL DEFAULT '[]'",
        "CREATE INDEX idx_job_debug_state_parent_id ON job_debug_state(parent_id)",
    )


@migrations()
def m0005_telemetry(db: Database) -> None:
    """What was measured of each step, in the order of time, and the grid of forks that a job is of."""
    _run(
        db,
        """
        CREATE TABLE job_telemetry (
            id INTEGER PRIMARY KEY,
            job_id TEXT NOT NULL,
            node_id TEXT NOT NULL,
            step INTEGER NOT NULL,
            sigma REAL,
            change REAL,
            norm REAL,
            seconds REAL,
            memory INTEGER
        )
        """,
        "CREATE UNIQUE INDEX uq_job_telemetry_step ON job_telemetry(job_id, node_id, step)",
        "ALTER TABLE job_debug_state ADD COLUMN grid_json TEXT",
    )


@migrations()
def m0006_source(db: Database) -> None:
    """Whether the job began from a picture or a latent, not from nothing."""
    _run(db, "ALTER TABLE job_debug_state ADD COLUMN has_source INTEGER NOT NULL DEFAULT 0")


@migrations()
def m0007_calls(db: Database) -> None:
    """Which sampling call of the node the job has come to."""
    _run(db, "ALTER TABLE job_debug_state ADD COLUMN call INTEGER NOT NULL DEFAULT 0")


@migrations()
def m0008_kept(db: Database) -> None:
    """What nodes answered and which outputs were made, so that a later run repeats neither."""
    nothing = '{"answers": {}, "done": []}'
    _run(db, f"ALTER TABLE job_debug_state ADD COLUMN kept_json TEXT NOT NULL DEFAULT '{nothing}'")


@migrations()
def m0009_nodes(db: Database) -> None:
    """As which node of the workflow a person knows what executed, and in which iterations of loops it did."""
    _run(
        db,
        "ALTER TABLE job_debug_state ADD COLUMN display_node_id TEXT",
        "ALTER TABLE job_debug_state ADD COLUMN loops_json TEXT NOT NULL DEFAULT '[]'",
        "UPDATE job_debug_state SET display_node_id = node_id, paused_before = NULL",  # which is JSON now
        "ALTER TABLE job_telemetry ADD COLUMN display_node_id TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE job_telemetry ADD COLUMN iteration INTEGER",
    )


@migrations()
def m0010_exactness(db: Database) -> None:
    """What a resume of a job will be like, where the model's patches remember."""
    exact = '{"kind": "exact", "evaluations": 0, "seconds": null, "because": null}'
    _run(db, f"ALTER TABLE job_debug_state ADD COLUMN exactness_json TEXT NOT NULL DEFAULT '{exact}'")


@migrations()
def m0011_bundles(db: Database) -> None:
    """Where a job came from a bundle: what it was computed with there, and what is otherwise here."""
    _run(db, "ALTER TABLE job_debug_state ADD COLUMN imported_json TEXT")


@migrations()
def m0012_retries(db: Database) -> None:
    """From which job of a dead server a job of the same prompt went on."""
    _run(db, "ALTER TABLE job_debug_state ADD COLUMN retried_json TEXT")


@migrations()
def m0013_choices(db: Database) -> None:
    """What a job waits for somebody to choose."""
    _run(
        db,
        "ALTER TABLE job_debug_state ADD COLUMN choice_json TEXT",
        """
        CREATE INDEX idx_job_debug_state_choice ON job_debug_state(job_id)
        WHERE choice_json IS NOT NULL AND state = 'paused'
        """,
    )


@migrations()
def m0014_checks(db: Database) -> None:
    """What the newest check of a job found."""
    _run(db, "ALTER TABLE job_debug_state ADD COLUMN check_json TEXT")


@migrations()
def m0015_ledger(db: Database) -> None:
    """What became of the GPU's time: it outlives the jobs. Evaluations are in stretches of one fate each."""
    _run(
        db,
        """
        CREATE TABLE ledger_jobs (
            job_id TEXT PRIMARY KEY,
            workflow TEXT NOT NULL,
            model TEXT NOT NULL,
            is_draft INTEGER NOT NULL,
            fate TEXT NOT NULL DEFAULT 'open',
            reason TEXT,
            hidden_json TEXT
        )
        """,
        """
        CREATE TABLE ledger_stretches (
            id INTEGER PRIMARY KEY,
            job_id TEXT NOT NULL,
            node_id TEXT NOT NULL,
            call INTEGER NOT NULL,
            first INTEGER NOT NULL,
            each_json TEXT NOT NULL,
            seconds REAL NOT NULL,
            week TEXT NOT NULL,
            kept INTEGER NOT NULL DEFAULT 0,
            reason TEXT
        )
        """,
        "CREATE INDEX idx_ledger_stretches_job_id ON ledger_stretches(job_id)",
        "CREATE TABLE ledger_holders (job_id TEXT, stretch_id INTEGER, PRIMARY KEY (job_id, stretch_id))",
        "CREATE INDEX idx_ledger_holders_stretch_id ON ledger_holders(stretch_id)",
        """
        CREATE TABLE ledger_others (
            job_id TEXT NOT NULL,
            week TEXT NOT NULL,
            figure TEXT NOT NULL,
            reason TEXT NOT NULL,
            seconds REAL NOT NULL,
            PRIMARY KEY (job_id, week, figure, reason)
        )
        """,
    )


@migrations()
def m0016_wires(db: Database) -> None:
    """What stands on the wires where a job is paused before a node."""
    _run(db, "ALTER TABLE job_debug_state ADD COLUMN wires_json TEXT")


@migrations()
def m0017_event_nodes(db: Database) -> None:
    """Whose sampling call a line of the audit trail counts the steps of."""
    _run(db, "ALTER TABLE job_events ADD COLUMN node_id TEXT")


@migrations()
def m0018_parent_nodes(db: Database) -> None:
    """Whose steps are counted where one job was forked from another."""
    _run(db, "ALTER TABLE job_debug_state ADD COLUMN parent_node_id TEXT")
