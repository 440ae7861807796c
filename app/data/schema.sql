-- The newest schema, run on an empty database; the migrations lead to the same one (a test holds them together).
-- Money, prices, quantities and percentages are TEXT with exact decimals; moments are INTEGER microseconds, UTC; market data are REAL.
-- `seq` grows with each row: lists are read newest first along it, and every index carries it at its end.

CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));

-- people --------------------------------------------------------------------------------------------------------------

CREATE TABLE users (
    user_id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE, -- case-folded
    name TEXT NOT NULL,
    role TEXT NOT NULL CONSTRAINT users_role CHECK (role IN ('owner', 'trader', 'viewer')),
    password_hash TEXT NOT NULL,
    active INTEGER NOT NULL DEFAULT 1,
    session_epoch INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    last_sign_in_at INTEGER,
    totp BLOB, -- encrypted JSON: the secret of the second factor, NULL without one
    totp_step INTEGER NOT NULL DEFAULT 0 -- the newest time step whose code was used: none is taken twice
);

CREATE TABLE tokens (
    token_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    name TEXT NOT NULL,
    prefix TEXT NOT NULL UNIQUE,
    secret_hash TEXT NOT NULL,
    scope TEXT NOT NULL CONSTRAINT tokens_scope CHECK (scope IN ('full', 'read')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER
);
CREATE INDEX tokens_user ON tokens (user_id);

CREATE TABLE webhooks (
    webhook_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    strategy_id TEXT REFERENCES strategies (strategy_id),
    account_ids TEXT NOT NULL, -- JSON list
    created_at INTEGER NOT NULL,
    last_used_at INTEGER
);
CREATE INDEX webhooks_user ON webhooks (user_id);

CREATE TABLE idempotency (
    user_id TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    answer TEXT, -- JSON; NULL while the first is at work, '' where it is sealed
    created_at INTEGER NOT NULL,
    sealed BLOB, -- an answer with a secret, encrypted
    PRIMARY KEY (user_id, route, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE TABLE audit (
    audit_id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    user_id TEXT,
    via TEXT NOT NULL,
    ip TEXT,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    before TEXT,
    after TEXT,
    hash TEXT NOT NULL DEFAULT '' -- SHA-256 of the hash before and this row: a changed or missing row breaks the chain
);
CREATE INDEX audit_user ON audit (user_id);
CREATE INDEX audit_action ON audit (action);
CREATE INDEX audit_object ON audit (object_kind, object_id);
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;

CREATE TABLE settings (
    user_id TEXT NOT NULL, -- '' for the whole system
    name TEXT NOT NULL,
    value TEXT NOT NULL, -- JSON
    PRIMARY KEY (user_id, name)
) WITHOUT ROWID;

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('config_version', '0'), ('journal_mark', '');

-- who trades what -----------------------------------------------------------------------------------------------------

CREATE TABLE accounts (
    account_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    name TEXT NOT NULL,
    broker TEXT NOT NULL,
    capital TEXT NOT NULL,
    leverage TEXT NOT NULL,
    limits TEXT NOT NULL, -- JSON
    paper TEXT NOT NULL, -- JSON
    dry_run INTEGER NOT NULL,
    auto_trade INTEGER NOT NULL,
    enabled INTEGER NOT NULL,
    credentials BLOB NOT NULL, -- encrypted JSON
    credentials_shown TEXT NOT NULL, -- JSON, masked
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    archived_at INTEGER,
    source_address TEXT,
    auto_login INTEGER NOT NULL DEFAULT 0,
    day_rules TEXT -- JSON
);
CREATE INDEX accounts_user ON accounts (user_id);

CREATE TABLE broker_sessions (
    account_id TEXT PRIMARY KEY REFERENCES accounts (account_id) ON DELETE CASCADE,
    sealed BLOB NOT NULL, -- encrypted JSON
    user_id TEXT NOT NULL, -- as the broker names the person
    started_at INTEGER NOT NULL,
    expires_at INTEGER
) WITHOUT ROWID;

CREATE TABLE auto_logins ( -- what the automated log-in did last, and how often in a row it failed
    account_id TEXT PRIMARY KEY REFERENCES accounts (account_id) ON DELETE CASCADE,
    day TEXT NOT NULL, -- the session day of the last attempt by schedule, '' before the first
    at INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE strategies (
    strategy_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    timeframe TEXT NOT NULL,
    instruments TEXT NOT NULL, -- JSON list
    params TEXT NOT NULL, -- JSON
    active INTEGER NOT NULL,
    exit_plan TEXT, -- JSON
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    archived_at INTEGER,
    reentry TEXT -- JSON
);
CREATE INDEX strategies_user ON strategies (user_id);

CREATE TABLE mappings (
    mapping_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    account_id TEXT NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    strategy_id TEXT NOT NULL REFERENCES strategies (strategy_id) ON DELETE CASCADE,
    allocation_pct TEXT NOT NULL,
    sizing TEXT NOT NULL, -- JSON
    risk_per_trade_pct TEXT NOT NULL,
    multiplier TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (account_id, strategy_id)
);
CREATE INDEX mappings_user ON mappings (user_id);
CREATE INDEX mappings_strategy ON mappings (strategy_id);

-- trading facts: written by the journal only, no foreign keys, so that a fact is never refused ------------------------

CREATE TABLE signals (
    seq INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    signal_id TEXT NOT NULL,
    source TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    strategy_id TEXT,
    created_at INTEGER NOT NULL,
    body TEXT NOT NULL, -- JSON: the whole signal
    timing TEXT, -- JSON
    UNIQUE (user_id, signal_id)
);
CREATE INDEX signals_user ON signals (user_id);
CREATE INDEX signals_user_symbol ON signals (user_id, symbol);
CREATE INDEX signals_user_strategy ON signals (user_id, strategy_id);
CREATE INDEX signals_user_source ON signals (user_id, source);

CREATE TABLE orders (
    seq INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    signal_key TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity TEXT NOT NULL,
    order_type TEXT NOT NULL,
    product TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    strategy_id TEXT,
    price TEXT,
    trigger_price TEXT,
    state TEXT NOT NULL,
    reason TEXT,
    broker_order_id TEXT,
    filled_quantity TEXT NOT NULL,
    average_price TEXT,
    plan_id TEXT,
    sent_at INTEGER,
    acknowledged_at INTEGER,
    checks TEXT NOT NULL -- JSON: [[name, passed, detail], ...]
);
CREATE INDEX orders_user ON orders (user_id);
CREATE INDEX orders_signal ON orders (signal_key);
CREATE INDEX orders_account ON orders (account_id);
CREATE INDEX orders_user_state ON orders (user_id, state);
CREATE INDEX orders_user_symbol ON orders (user_id, symbol);
CREATE INDEX orders_user_strategy ON orders (user_id, strategy_id);
CREATE INDEX orders_user_role ON orders (user_id, role);
CREATE INDEX orders_live ON orders (user_id) WHERE state IN ('planned', 'sending', 'unknown', 'open', 'partly_filled');

CREATE TABLE order_events (
    seq INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    detail TEXT NOT NULL -- JSON
);
CREATE INDEX order_events_order ON order_events (order_id);

CREATE TABLE fills (
    seq INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL,
    trade_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    product TEXT NOT NULL,
    strategy_id TEXT,
    broker_order_id TEXT,
    quantity TEXT NOT NULL,
    price TEXT NOT NULL,
    charges TEXT NOT NULL,
    realised TEXT NOT NULL,
    traded_at INTEGER NOT NULL,
    fee_quantity TEXT NOT NULL DEFAULT '0' -- units that the broker kept
);
CREATE UNIQUE INDEX fills_order ON fills (order_id, trade_id);
CREATE INDEX fills_user ON fills (user_id);
CREATE INDEX fills_user_symbol ON fills (user_id, symbol);
CREATE INDEX fills_user_strategy ON fills (user_id, strategy_id);
CREATE INDEX fills_account ON fills (account_id);
CREATE INDEX fills_traded ON fills (traded_at);

CREATE TABLE positions (
    seq INTEGER PRIMARY KEY,
    position_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    product TEXT NOT NULL,
    strategy_id TEXT,
    is_open INTEGER NOT NULL,
    quantity TEXT NOT NULL,
    cash_flow TEXT NOT NULL,
    open_cost TEXT NOT NULL,
    realised TEXT NOT NULL,
    charges TEXT NOT NULL,
    opened_at INTEGER,
    updated_at INTEGER NOT NULL,
    trip_net TEXT NOT NULL -- net result since it was last flat
);
CREATE INDEX positions_user ON positions (user_id);
CREATE INDEX positions_account ON positions (account_id);
CREATE INDEX positions_open ON positions (user_id) WHERE is_open;

CREATE TABLE round_trips (
    seq INTEGER PRIMARY KEY,
    position_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    strategy_id TEXT,
    symbol TEXT NOT NULL,
    closed_at INTEGER NOT NULL,
    net TEXT NOT NULL
);
CREATE INDEX round_trips_mapping ON round_trips (account_id, strategy_id);
CREATE INDEX round_trips_user ON round_trips (user_id);
CREATE INDEX round_trips_user_strategy ON round_trips (user_id, strategy_id);

CREATE TABLE pnl_daily ( -- each fill counts in four rows: its own account or '*' (all) with its own strategy ('' for none) or '*'
    user_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    strategy_id TEXT NOT NULL,
    day TEXT NOT NULL,
    realised TEXT NOT NULL,
    charges TEXT NOT NULL,
    fills INTEGER NOT NULL,
    turnover TEXT NOT NULL,
    PRIMARY KEY (user_id, account_id, strategy_id, day)
) WITHOUT ROWID;

CREATE TABLE openings ( -- each position as folded from every fill before `at`; only what start-up needs, made again at will
    at INTEGER NOT NULL,
    position_id TEXT NOT NULL,
    body TEXT NOT NULL, -- JSON
    PRIMARY KEY (at, position_id)
) WITHOUT ROWID;

CREATE TABLE plans (
    plan_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    state TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    body TEXT NOT NULL -- JSON
);
CREATE INDEX plans_armed ON plans (state) WHERE state = 'armed';
CREATE INDEX plans_stopped ON plans (state) WHERE state = 'stopped';

CREATE TABLE account_days (
    account_id TEXT NOT NULL,
    day TEXT NOT NULL,
    trades INTEGER NOT NULL,
    locked TEXT,
    warned INTEGER NOT NULL,
    PRIMARY KEY (account_id, day)
) WITHOUT ROWID;

CREATE TABLE halts (
    seq INTEGER PRIMARY KEY,
    halt_id TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    scope_id TEXT,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    by TEXT NOT NULL,
    flatten INTEGER NOT NULL,
    lifted_at INTEGER,
    lifted_by TEXT
);
CREATE INDEX halts_scope ON halts (scope, scope_id);

CREATE TABLE engine_switches (
    user_id TEXT PRIMARY KEY, -- '' for the whole system
    is_on INTEGER NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE kill_switches (
    account_id TEXT PRIMARY KEY,
    is_on INTEGER NOT NULL,
    reason TEXT NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE strategy_states (
    strategy_id TEXT PRIMARY KEY,
    state TEXT NOT NULL, -- JSON
    quarantined TEXT,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE equity (
    account_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    equity TEXT NOT NULL,
    realised TEXT NOT NULL,
    unrealised TEXT NOT NULL,
    charges TEXT NOT NULL,
    PRIMARY KEY (account_id, at)
) WITHOUT ROWID;

CREATE TABLE incidents (
    seq INTEGER PRIMARY KEY,
    incident_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    severity TEXT NOT NULL,
    since INTEGER NOT NULL,
    user_id TEXT,
    account_id TEXT,
    until INTEGER
);
CREATE INDEX incidents_user ON incidents (user_id);
CREATE INDEX incidents_open ON incidents (user_id) WHERE until IS NULL;

CREATE TABLE candles (
    symbol TEXT NOT NULL,
    timeframe TEXT NOT NULL,
    live INTEGER NOT NULL DEFAULT 0, -- real prices; 0: simulated or replayed
    start INTEGER NOT NULL,
    open REAL NOT NULL,
    high REAL NOT NULL,
    low REAL NOT NULL,
    close REAL NOT NULL,
    volume REAL NOT NULL,
    PRIMARY KEY (symbol, timeframe, live, start)
) WITHOUT ROWID;

CREATE TABLE markets ( -- whether an instrument had real prices last: what paper holds of it was bought at such prices
    symbol TEXT PRIMARY KEY,
    live INTEGER NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE calendar_days ( -- what people changed in the calendar that ships with the program
    day TEXT NOT NULL,
    exchange TEXT NOT NULL, -- '*': every exchange that has hours
    windows TEXT NOT NULL, -- JSON: [["09:15", "10:00"], ...], none for a holiday
    ordinary INTEGER NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (day, exchange)
) WITHOUT ROWID;

CREATE TABLE job_runs ( -- the timetable of each day and what became of its jobs
    day TEXT NOT NULL,
    job TEXT NOT NULL,
    state TEXT NOT NULL,
    planned_at INTEGER NOT NULL,
    at INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (day, job)
) WITHOUT ROWID;

CREATE TABLE day_books (
    account_id TEXT NOT NULL,
    day TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL, -- JSON
    PRIMARY KEY (account_id, day)
) WITHOUT ROWID;

CREATE TABLE strategy_levels ( -- what a strategy worked out for a day, once for all accounts
    strategy_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    day TEXT NOT NULL,
    at INTEGER NOT NULL,
    says TEXT NOT NULL,
    levels TEXT NOT NULL, -- JSON
    PRIMARY KEY (strategy_id, symbol, day)
) WITHOUT ROWID;

CREATE TABLE account_groups (
    group_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (user_id, name)
) WITHOUT ROWID;

CREATE TABLE group_accounts (
    group_id TEXT NOT NULL REFERENCES account_groups (group_id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, account_id)
) WITHOUT ROWID;
CREATE INDEX group_accounts_account ON group_accounts (account_id);

CREATE TABLE combined_rules (
    rule_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    scope TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    body TEXT NOT NULL, -- JSON
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (scope, scope_id)
) WITHOUT ROWID;
CREATE INDEX combined_rules_user ON combined_rules (user_id);

CREATE TABLE combined_states (
    rule_id TEXT NOT NULL,
    day TEXT NOT NULL,
    body TEXT NOT NULL, -- JSON
    PRIMARY KEY (rule_id, day)
) WITHOUT ROWID;

CREATE TABLE watchlists (
    watchlist_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    name TEXT NOT NULL,
    place INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (user_id, name)
) WITHOUT ROWID;

CREATE TABLE watchlist_items (
    watchlist_id TEXT NOT NULL REFERENCES watchlists (watchlist_id) ON DELETE CASCADE,
    symbol TEXT NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (watchlist_id, symbol)
) WITHOUT ROWID;

CREATE TABLE datasets ( -- market data files that belong to the workspace, the files lie in the data folder
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
) WITHOUT ROWID;

CREATE TABLE studies ( -- back-tests and sweeps, their results lie in the data folder
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
) WITHOUT ROWID;
CREATE INDEX studies_user ON studies (user_id, created_at);

CREATE TABLE recovery_codes ( -- of the second factor, each good once
    user_id TEXT NOT NULL REFERENCES users (user_id),
    code_hash TEXT NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (user_id, code_hash)
) WITHOUT ROWID;

CREATE TABLE sign_ins ( -- browsers that are or were signed in
    sign_in_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    ip TEXT NOT NULL,
    agent TEXT NOT NULL,
    ended_at INTEGER
) WITHOUT ROWID;
CREATE INDEX sign_ins_user ON sign_ins (user_id, created_at);

CREATE TABLE codes ( -- one-time codes and links that were sent to somebody
    code_id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL, -- sign_up | invite | reset
    email TEXT NOT NULL,
    email_key TEXT NOT NULL, -- case-folded
    user_id TEXT, -- whose password it resets
    body TEXT NOT NULL DEFAULT '{}', -- JSON: name, role, who invited
    secret_hash TEXT NOT NULL,
    sealed BLOB NOT NULL, -- encrypted: shown to the owner where no mail can be sent
    tries INTEGER NOT NULL DEFAULT 0,
    sends INTEGER NOT NULL DEFAULT 1,
    sent_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) WITHOUT ROWID;
CREATE INDEX codes_email ON codes (email_key, purpose);

CREATE TABLE strategy_shares ( -- who else may map a strategy to accounts of theirs
    strategy_id TEXT NOT NULL REFERENCES strategies (strategy_id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    shared_at INTEGER NOT NULL,
    PRIMARY KEY (strategy_id, user_id)
) WITHOUT ROWID;
CREATE INDEX strategy_shares_user ON strategy_shares (user_id);

CREATE TABLE shares_ended ( -- what somebody may go on calling a strategy that was shared with them
    user_id TEXT NOT NULL REFERENCES users (user_id),
    strategy_id TEXT NOT NULL,
    name TEXT NOT NULL, -- as it was called when the share ended
    ended_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, strategy_id)
) WITHOUT ROWID;

CREATE TABLE consents ( -- that somebody agreed to their account being traded in a group; never deleted
    consent_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id), -- who keeps the record
    group_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    holder TEXT NOT NULL, -- who agreed
    relation TEXT NOT NULL,
    scope TEXT NOT NULL, -- signals | manage
    note TEXT NOT NULL,
    given_at INTEGER NOT NULL,
    until INTEGER,
    revoked_at INTEGER,
    revoked_by TEXT
) WITHOUT ROWID;
CREATE INDEX consents_user ON consents (user_id, group_id);
CREATE INDEX consents_account ON consents (account_id);

CREATE TABLE destinations ( -- where a person wants to be told
    destination_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    channel TEXT NOT NULL, -- discord | telegram | email
    name TEXT NOT NULL,
    sealed BLOB NOT NULL, -- encrypted JSON: webhook address, bot token, chat, e-mail address
    shown TEXT NOT NULL, -- JSON, masked
    events TEXT NOT NULL, -- JSON list
    quiet TEXT, -- JSON: from, to, time zone
    enabled INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL DEFAULT 'ok', -- ok | paused | refused
    state_detail TEXT NOT NULL DEFAULT '',
    failures INTEGER NOT NULL DEFAULT 0, -- in a row
    not_before INTEGER NOT NULL DEFAULT 0,
    last_sent_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX destinations_user ON destinations (user_id);

CREATE TABLE messages ( -- what somebody is to be told of: written in the transaction of the fact itself
    message_id INTEGER PRIMARY KEY,
    dedupe TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    user_id TEXT NOT NULL, -- '' for everybody (a stop of the whole system), '@' for the owners (the machine)
    account_id TEXT,
    ref TEXT NOT NULL, -- the order, signal, halt or incident it is about
    at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'new', -- new | told | dropped
    body TEXT -- JSON: what is said, frozen when it is told
);
CREATE INDEX messages_new ON messages (message_id) WHERE state = 'new';
CREATE INDEX messages_user ON messages (user_id, message_id);
CREATE INDEX messages_rare ON messages (user_id, kind, message_id) WHERE kind NOT IN ('order', 'signal');

CREATE TABLE deliveries ( -- one message on its way to one destination
    delivery_id INTEGER PRIMARY KEY,
    message_id INTEGER NOT NULL,
    target TEXT NOT NULL, -- a destination's id, or mail:… for a mail to an address of its own
    user_id TEXT NOT NULL,
    sealed BLOB, -- encrypted: a mail with a secret in it; wiped when it has gone
    status TEXT NOT NULL DEFAULT 'pending', -- pending | sending | sent | dead | merged
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL,
    error TEXT NOT NULL DEFAULT '',
    provider_id TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    sent_at INTEGER,
    UNIQUE (message_id, target)
);
CREATE INDEX deliveries_due ON deliveries (target, delivery_id) WHERE status IN ('pending', 'sending');
CREATE INDEX deliveries_user ON deliveries (user_id, delivery_id);
CREATE INDEX deliveries_over ON deliveries (user_id, status, message_id) WHERE status IN ('dead', 'merged');
CREATE INDEX deliveries_dead ON deliveries (user_id, message_id) WHERE status = 'dead';

CREATE TABLE set_aside ( -- facts that could not be written as they were: a bug, kept as text for the person who repairs it
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    fact TEXT NOT NULL,
    error TEXT NOT NULL
);

INSERT INTO alembic_version (version_num) VALUES ('0004');
