"""The data service: tables, queries, the journal, migrations. The only code that knows SQL.

Everything others may use is named here; the modules below are private to this package.
"""

from app.data.audit import AuditFilter
from app.data.chain import ChainCheck
from app.data.codes import LASTS, TRIES, Code, Post, Purpose, TooSoon
from app.data.consents import Consent, ConsentScope, ConsentState, Relation, objection
from app.data.datasets import Dataset, Datasets, NewDataset
from app.data.destinations import Address, DestinationRow, Wanting
from app.data.errors import Conflict, DataError, Invalid, NotFound
from app.data.instruments import Instruments
from app.data.levels import DayLevels
from app.data.outbox import DeliveryRow, MessageRow, NewMessage, Send, Waiting
from app.data.rows import (
    AccountRow,
    Actor,
    ApiToken,
    AuditRow,
    CombinedRow,
    DayPnl,
    EquityPoint,
    GroupRow,
    MappingRow,
    OrderStory,
    Page,
    PositionRow,
    RoundTrip,
    SignalRow,
    SignIn,
    StoredAnswer,
    StrategyRow,
    StrategyStatus,
    TradeRow,
    User,
    UserRole,
    Webhook,
)
from app.data.second_factor import Enrolment, SecondFactorState
from app.data.service import Data, open_data
from app.data.shares import Share
from app.data.sign_ins import Browser
from app.data.sign_ups import Typed
from app.data.studies import StudyRow, StudyState
from app.data.watchlists import Watchlist
from engines.login.memory import AutoLogin

__all__ = [
    "LASTS",
    "TRIES",
    "AccountRow",
    "Actor",
    "Address",
    "ApiToken",
    "AuditFilter",
    "AuditRow",
    "AutoLogin",
    "Browser",
    "ChainCheck",
    "Code",
    "CombinedRow",
    "Conflict",
    "Consent",
    "ConsentScope",
    "ConsentState",
    "Data",
    "DataError",
    "Dataset",
    "Datasets",
    "DayLevels",
    "DayPnl",
    "DeliveryRow",
    "DestinationRow",
    "Enrolment",
    "EquityPoint",
    "GroupRow",
    "Instruments",
    "Invalid",
    "MappingRow",
    "MessageRow",
    "NewDataset",
    "NewMessage",
    "NotFound",
    "OrderStory",
    "Page",
    "PositionRow",
    "Post",
    "Purpose",
    "Relation",
    "RoundTrip",
    "SecondFactorState",
    "Send",
    "Share",
    "SignIn",
    "SignalRow",
    "StoredAnswer",
    "StrategyRow",
    "StrategyStatus",
    "StudyRow",
    "StudyState",
    "TooSoon",
    "TradeRow",
    "Typed",
    "User",
    "UserRole",
    "Waiting",
    "Wanting",
    "Watchlist",
    "Webhook",
    "objection",
    "open_data",
]
