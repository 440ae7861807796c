"""The trading day: calendar, timetable, day books, levels, groups, combined P&L rules, watchlists, data sets, back-tests."""

from alembic import op

revision = "0003"
down_revision = "0002"

STEPS = (
    "ALTER TABLE accounts ADD COLUMN day_rules TEXT",
    "ALTER TABLE strategies ADD COLUMN reentry TEXT",
    """CREATE TABLE calendar_days ( -- what people changed in the calendar that ships with the program
        day TEXT NOT NULL,
        exchange TEXT NOT NULL, -- '*': every exchange that has hours
        windows TEXT NOT NULL, -- JSON: [["09:15", "10:00"], ...], none for a holiday
        ordinary INTEGER NOT NULL DEFAULT 0,
        note TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (day, exchange)
    ) WITHOUT ROWID""",
    """CREATE TABLE job_runs ( -- the timetable of each day and what became of its jobs
        day TEXT NOT NULL,
        job TEXT NOT NULL,
        state TEXT NOT NULL,
        planned_at INTEGER NOT NULL,
        at INTEGER NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (day, job)
    ) WITHOUT ROWID""",
    """CREATE TABLE day_books (
        account_id TEXT NOT NULL,
        day TEXT NOT NULL,
        at INTEGER NOT NULL,
        body TEXT NOT NULL, -- JSON
        PRIMARY KEY (account_id, day)
    ) WITHOUT ROWID""",
    """CREATE TABLE strategy_levels ( -- what a strategy worked out for a day, once for all accounts
        strategy_id TEXT NOT NULL,
        symbol TEXT NOT NULL,
        day TEXT NOT NULL,
        at INTEGER NOT NULL,
        says TEXT NOT NULL,
        levels TEXT NOT NULL, -- JSON
        PRIMARY KEY (strategy_id, symbol, day)
    ) WITHOUT ROWID""",
    """CREATE TABLE account_groups (
        group_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (user_id),
        name TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        UNIQUE (user_id, name)
    ) WITHOUT ROWID""",
    """CREATE TABLE group_accounts (
        group_id TEXT NOT NULL REFERENCES account_groups (group_id) ON DELETE CASCADE,
        account_id TEXT NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
        PRIMARY KEY (group_id, account_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX group_accounts_account ON group_accounts (account_id)",
    """CREATE TABLE combined_rules (
        rule_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (user_id),
        scope TEXT NOT NULL,
        scope_id TEXT NOT NULL,
        body TEXT NOT NULL, -- JSON
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        UNIQUE (scope, scope_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX combined_rules_user ON combined_rules (user_id)",
    """CREATE TABLE combined_states (
        rule_id TEXT NOT NULL,
        day TEXT NOT NULL,
        body TEXT NOT NULL, -- JSON
        PRIMARY KEY (rule_id, day)
    ) WITHOUT ROWID""",
    """CREATE TABLE watchlists (
        watchlist_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (user_id),
        name TEXT NOT NULL,
        place INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        UNIQUE (user_id, name)
    ) WITHOUT ROWID""",
    """CREATE TABLE watchlist_items (
        watchlist_id TEXT NOT NULL REFERENCES watchlists (watchlist_id) ON DELETE CASCADE,
        symbol TEXT NOT NULL,
        place INTEGER NOT NULL,
        PRIMARY KEY (watchlist_id, symbol)
    ) WITHOUT ROWID""",
    """CREATE TABLE datasets ( -- market data files that belong to the workspace, the files lie in the data folder
        dataset_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (user_id),
        name TEXT NOT NULL,
        kind TEXT NOT NULL, -- candles | ticks
        seconds INTEGER NOT NULL, -- of a candle, 0 for ticks
        symbols TEXT NOT NULL, -- JSON
        rows INTEGER NOT NULL,
        first_at INTEGER NOT NULL,
        last_at INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        file TEXT NOT NULL, -- its name in the folder
        source TEXT NOT NULL, -- imported | recorded
        report TEXT NOT NULL, -- JSON: what the import found
        created_at INTEGER NOT NULL,
        UNIQUE (user_id, name)
    ) WITHOUT ROWID""",
    """CREATE TABLE studies ( -- back-tests and sweeps, their results lie in the data folder
        study_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (user_id),
        name TEXT NOT NULL,
        kind TEXT NOT NULL, -- backtest | sweep
        state TEXT NOT NULL, -- queued | running | done | failed | cancelled
        progress REAL NOT NULL DEFAULT 0,
        spec TEXT NOT NULL, -- JSON
        summary TEXT NOT NULL DEFAULT '{}', -- JSON
        error TEXT NOT NULL DEFAULT '',
        attempts INTEGER NOT NULL DEFAULT 0, -- how often it was begun
        created_at INTEGER NOT NULL,
        started_at INTEGER,
        ended_at INTEGER
    ) WITHOUT ROWID""",
    "CREATE INDEX studies_user ON studies (user_id, created_at)",
)


def upgrade() -> None:
    for step in STEPS:
        op.get_bind().exec_driver_sql(step)
