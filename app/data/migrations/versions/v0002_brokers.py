"""What real brokers need: sessions that outlive a restart, fees kept in the instrument itself, real candles apart from simulated ones."""

from alembic import op

revision = "0002"
down_revision = "0001"

STEPS = (
    "ALTER TABLE accounts ADD COLUMN source_address TEXT",
    "ALTER TABLE accounts ADD COLUMN auto_login INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE fills ADD COLUMN fee_quantity TEXT NOT NULL DEFAULT '0'",
    """CREATE TABLE broker_sessions (
        account_id TEXT PRIMARY KEY REFERENCES accounts (account_id) ON DELETE CASCADE,
        sealed BLOB NOT NULL,
        user_id TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        expires_at INTEGER
    ) WITHOUT ROWID""",
    """CREATE TABLE auto_logins (
        account_id TEXT PRIMARY KEY REFERENCES accounts (account_id) ON DELETE CASCADE,
        day TEXT NOT NULL,
        at INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        reason TEXT NOT NULL,
        message TEXT NOT NULL
    ) WITHOUT ROWID""",
    "ALTER TABLE candles RENAME TO candles_before",
    """CREATE TABLE candles (
        symbol TEXT NOT NULL,
        timeframe TEXT NOT NULL,
        live INTEGER NOT NULL DEFAULT 0,
        start INTEGER NOT NULL,
        open REAL NOT NULL,
        high REAL NOT NULL,
        low REAL NOT NULL,
        close REAL NOT NULL,
        volume REAL NOT NULL,
        PRIMARY KEY (symbol, timeframe, live, start)
    ) WITHOUT ROWID""",
    """INSERT INTO candles (symbol, timeframe, start, open, high, low, close, volume)
        SELECT symbol, timeframe, start, open, high, low, close, volume FROM candles_before""",
    "DROP TABLE candles_before",
)


def upgrade() -> None:
    for step in STEPS:
        op.get_bind().exec_driver_sql(step)
