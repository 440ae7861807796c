#!/usr/bin/env python3
"""The launcher: understands the command line, sees to it that the packages are there, and hands over to `app.launch`.

Uses nothing but the standard library until the packages are ready, so that a fresh clone and a Python are enough. It never trades, never
touches the data folder and never installs anything outside the project's own `.venv`.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOCKED = {"runtime": ("requirements.txt",), "dev": ("requirements.txt", "requirements-dev.txt")}
DEVELOPER_COMMANDS = frozenset({"test", "bench", "lint"})
BAD_USE = 2


class CannotStart(Exception):
    """What stands in the way, in one line that says what to do about it."""


# --- the command line ------------------------------------------------------------------------------------------------


class OneLineParser(argparse.ArgumentParser):
    """Bad use is answered by one clear line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f"tandem: {message} (see: run_strategy_system.py {self.prog.partition(' ')[2]} --help)".replace("  ", " "), file=sys.stderr)
        sys.exit(BAD_USE)


def parser() -> argparse.ArgumentParser:
    top = OneLineParser(prog="run_strategy_system.py", description="Tandem: one signal, every account.", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, about: str, under: argparse._SubParsersAction[OneLineParser] = commands) -> OneLineParser:
        made = under.add_parser(name, help=about, description=about, allow_abbrev=False)
        made.add_argument("--data-dir", metavar="DIR", type=Path, help="folder of the database and keys (default: var)")
        return made

    for name, about in (("serve", "run the workspace (default)"), ("demo", "run a ready workspace that is already trading on paper")):
        served = command(name, about)
        served.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
        served.add_argument("--port", type=_port, help="port to listen on (default: 5000; 0 takes a free one)")
        served.add_argument("--no-engines", action="store_true", help="pages and API only: nothing trades until a person starts it")
        served.add_argument("--no-browser", action="store_true", help="do not open a browser")

    tested = command("test", "run the whole suite; further arguments go to pytest")
    tested.add_argument("pytest_args", nargs=argparse.REMAINDER, metavar="PYTEST_ARGS")
    command("lint", "format, lint, types, layers and templates, as CI does it")
    measured = command("bench", "measure what we hold ourselves to, one JSON object per figure")
    measured.add_argument("names", nargs="*", metavar="NAME", help="figures to measure (default: all)")
    measured.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    _backtest(command("backtest", "run a strategy over a file of candles"))
    _sweep(command("sweep", "try many sets of parameters of a strategy over files of candles"))

    people = commands.add_parser("user", help="people who may sign in").add_subparsers(dest="action", metavar="ACTION", required=True)
    added = command("add", "add a person, already verified", people)
    added.add_argument("email")
    added.add_argument("--password-stdin", action="store_true", required=True, help="read the password from standard input")
    added.add_argument("--role", choices=("owner", "trader", "viewer"), help="default: owner when there is none yet, else trader")
    changed = command("password", "set a new password; every browser of that person is signed out", people)
    changed.add_argument("email")
    changed.add_argument("--password-stdin", action="store_true", required=True, help="read the password from standard input")
    lost = command("reset-second-factor", "take away the second factor of somebody whose phone is lost; they are told", people)
    lost.add_argument("email")
    tokens = commands.add_parser("token", help="API tokens").add_subparsers(dest="action", metavar="ACTION", required=True)
    token = command("add", "make an API token and print it once, alone on standard output", tokens)
    token.add_argument("email")
    token.add_argument("--name", required=True, help="what it is for, shown in the settings")

    _data(commands.add_parser("data", help="market data: import, list, gaps, export"), command)
    command("doctor", "check settings, database, clock, disk and broker sessions; exit 0 = healthy")
    _care(command, commands)
    return top


def _care(command: Callable[..., argparse.ArgumentParser], commands: argparse._SubParsersAction[OneLineParser]) -> None:
    saved = command("backup", "consistent copy of the running database and keys")
    saved.add_argument("file", type=Path, metavar="FILE")
    saved.add_argument("--with-data", action="store_true", help="also the files of market data and of back-tests")
    back = command("restore", "bring a backup back into an empty data folder")
    back.add_argument("file", type=Path, metavar="FILE")
    back.add_argument("--replace", action="store_true", help="put what is there aside")
    keys = commands.add_parser("keys", help="the key that credentials are encrypted with").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    command("rotate", "change the key; goes on where it was cut short", keys)
    command("new", "print a new key for CREDENTIAL_KEYS", keys)


def _sweep(swept: argparse.ArgumentParser) -> None:
    _job(swept)
    swept.add_argument(
        "--grid", action="append", required=True, metavar="k=VALUES", type=_pair, help="values to try: 5:20:5, or 9,12,21; may be repeated"
    )
    swept.add_argument("--random", type=int, metavar="N", help="so many points at random instead of every combination")
    swept.add_argument("--seed", type=int, default=0, metavar="N", help="of the random points (default: 0)")
    swept.add_argument(
        "--rank", default="net", metavar="FIGURE", help="what makes a point good: net, sharpe, calmar, profit_factor, … (default: net)"
    )
    swept.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each core)")
    swept.add_argument("--cluster", metavar="ADDRESS", help="run on a Dask cluster, e.g. tcp://10.0.0.5:8786")
    swept.add_argument("--results", type=Path, metavar="FILE", help="keep each result in this file; an existing one is gone on with")
    swept.add_argument("--csv", type=Path, metavar="FILE", help="write all points as a table, the best first")
    swept.add_argument("--top", type=int, default=10, metavar="N", help="how many to print (default: 10)")


def _backtest(tested: argparse.ArgumentParser) -> None:
    _job(tested)
    tested.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    tested.add_argument("--html", type=Path, metavar="FILE", help="write the report as a page")
    tested.add_argument("--check", action="store_true", help="play it again on shorter data and with restarts: does it decide the same?")
    tested.add_argument(
        "--walk-forward", metavar="TRAIN:TEST", help="choose parameters on so many sessions, trade them on the next, and so on"
    )
    tested.add_argument(
        "--grid", action="append", default=[], metavar="k=VALUES", type=_pair, help="what walk-forward chooses from: 5:20:5, or 9,12"
    )
    tested.add_argument("--rank", default="net", metavar="FIGURE", help="by what it chooses: net, sharpe, calmar, … (default: net)")


def _job(tested: argparse.ArgumentParser) -> None:
    tested.add_argument("kind", metavar="STRATEGY_KIND")
    tested.add_argument("--data", action="append", required=True, metavar="FILE", help="CSV of candles, may be gzipped; may be repeated")
    tested.add_argument("--preset", metavar="NAME", help="begin with the parameters of this preset of the strategy")
    tested.add_argument("--param", action="append", default=[], metavar="k=v", type=_pair, help="a strategy parameter; may be repeated")
    tested.add_argument("--from", dest="start", metavar="D", help="first day, YYYY-MM-DD")
    tested.add_argument("--to", dest="end", metavar="D", help="last day, YYYY-MM-DD")
    tested.add_argument("--symbol", metavar="EXCHANGE:NAME", help="which instrument of the file, or what to call it")
    tested.add_argument("--timeframe", choices=("1m", "5m", "15m", "1h", "1d"), help="the strategy's (default: that of the file)")
    tested.add_argument("--capital", metavar="MONEY", help="what it begins with (default: 1000000)")
    tested.add_argument("--accounts", type=Path, metavar="FILE", help="JSON of the accounts that trade it, and of rules over them")
    day = tested.add_mutually_exclusive_group()
    day.add_argument("--square-off", dest="keep", action="store_true", default=None, help="end every intraday position with its day")
    day.add_argument("--carry", dest="keep", action="store_false", default=None, help="carry positions over night")


def _data(group: argparse.ArgumentParser, command: Callable[..., argparse.ArgumentParser]) -> None:
    actions = group.add_subparsers(dest="action", metavar="ACTION", required=True)
    taken = command(
        "import", "take a CSV (may be gzipped) or Parquet file of candles or ticks into the workspace, whole or not at all", actions
    )
    taken.add_argument("file", type=Path, metavar="FILE")
    taken.add_argument("--name", help="what to call it (default: as the file)")
    taken.add_argument("--exchange", default="NSE", help="of names that say none (default: NSE)")
    taken.add_argument("--zone", help="time zone of times without an offset, such as UTC (default: the exchange's)")
    order = taken.add_mutually_exclusive_group()
    order.add_argument("--day-first", action="store_true", help="03/04/2026 is in April (default: as the file shows)")
    order.add_argument("--month-first", action="store_true", help="03/04/2026 is in March")
    taken.add_argument("--stamped-end", action="store_true", help="times are those of the candles' ends")
    taken.add_argument("--leave-out-bad", action="store_true", help="import without the rows that cannot be used")
    listed = command("list", "what there is", actions)
    lacking = command("gaps", "what a dataset or a file lacks by the calendar", actions)
    lacking.add_argument("dataset", metavar="DATASET", help="name or id of a dataset, or a file")
    lacking.add_argument("--json", action="store_true", help="print the whole report as JSON")
    out = command("export", "write a dataset as CSV, .csv.gz or .parquet, as the file's name says", actions)
    out.add_argument("dataset", metavar="DATASET", help="its name or id")
    out.add_argument("file", type=Path, metavar="FILE")
    out.add_argument("--from", dest="start", metavar="D", type=_date, help="first day, YYYY-MM-DD")
    out.add_argument("--to", dest="end", metavar="D", type=_date, help="last day, YYYY-MM-DD")
    for each in (taken, listed):
        each.add_argument("--user", metavar="EMAIL", help="whose (default: the owner's)")
    for each in (taken, lacking, out):
        each.add_argument("--symbol", metavar="EXCHANGE:NAME", help="which instrument of the file, or what to call it")
    listed.set_defaults(symbol=None)


def _date(text: str) -> str:
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day of the form YYYY-MM-DD") from None


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number, 0 to 65535")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    return name, value


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command and its options; without a command it is `serve`."""
    words = list(argv)
    if not words or (words[0].startswith("-") and words[0] not in {"-h", "--help"}):
        words.insert(0, "serve")
    if words[0] == "test":  # everything behind it is pytest's, whatever it looks like; the suite makes its own data folders
        rest = words[1:]
        if rest[:1] not in (["-h"], ["--help"]):
            return argparse.Namespace(command="test", data_dir=None, pytest_args=rest)
    return parser().parse_args(words)


# --- the packages ----------------------------------------------------------------------------------------------------


def python_to_run(kind: str) -> Path | None:
    """The interpreter that has all packages of `kind` ("runtime" or "dev"); None when it is this one. Makes or mends `.venv` when needed."""
    wanted = _digest(kind)
    if not _is_ready(kind, wanted):
        if not _inside_venv() and _this_one_has_all(kind):
            return None
        with _one_at_a_time():
            if not _is_ready(kind, wanted):  # another start may have made it while we waited
                _make_venv()
                _install(kind)
                for covered in {kind, "runtime"}:  # the developers' packages contain those of the program
                    _stamp(covered).write_text(_digest(covered))
                return VENV_PYTHON  # even from inside: packages may have changed under this process
    return None if _inside_venv() else VENV_PYTHON


def _digest(kind: str) -> str:
    digest = hashlib.sha256(b"1")
    for name in LOCKED[kind]:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _stamp(kind: str) -> Path:
    return VENV / f"tandem-{kind}.stamp"


def _is_ready(kind: str, wanted: str) -> bool:
    try:
        return _stamp(kind).read_text() == wanted and VENV_PYTHON.exists() and (VENV / "pyvenv.cfg").exists()
    except OSError:
        return False


def _inside_venv() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def _this_one_has_all(kind: str) -> bool:
    """Whether the interpreter that runs us (a container's, say) already has every locked package at its locked version."""
    if importlib.util.find_spec("flask") is None:
        return False
    for file in LOCKED[kind]:
        for line in (ROOT / file).read_text().splitlines():
            name, pinned, version = line.partition("==")
            if not pinned or ";" in version:  # a condition on the platform: the package that needs it is pinned without one
                continue
            try:
                if importlib.metadata.version(name) != version.strip():
                    return False
            except importlib.metadata.PackageNotFoundError:
                return False
    return True


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two first starts at once must not install into the same folder at once."""
    try:
        VENV.mkdir(exist_ok=True)
        lock = (VENV / "tandem.lock").open("w")
    except OSError as error:
        raise CannotStart(f"cannot make {VENV}: {error.strerror}") from None
    with lock:
        _hold(lock)
        yield


def _hold(lock: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)


def _make_venv() -> None:
    if VENV_PYTHON.exists() and subprocess.run([VENV_PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return
    broken = VENV_PYTHON.is_symlink() and not VENV_PYTHON.exists()  # the Python it was made from is gone
    if importlib.util.find_spec("ensurepip") is None:
        raise CannotStart("this Python cannot make a virtual environment; install its venv package (Debian: apt-get install python3-venv)")
    _say("first start: making .venv, about a minute")
    try:
        venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt", clear=broken).create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotStart(f"cannot make {VENV}: {error}") from None


def _install(kind: str) -> None:
    files = [part for name in LOCKED[kind] for part in ("-r", str(ROOT / name))]
    total = sum(line.count("==") for name in LOCKED[kind][-1:] for line in (ROOT / name).read_text().splitlines())
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *files]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        seen, last = 0, ""
        for line in pip.stdout or ():
            last = line.strip() or last
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                seen += 1
                _progress(min(seen, total), total, line.split()[1 if line.startswith("C") else 3])
            elif line.startswith("Installing "):
                _say("installing packages")
    if pip.returncode:
        raise CannotStart(f"cannot install the packages of {LOCKED[kind][-1]}: {last.removeprefix('ERROR: ')}")
    _say("packages are ready")


def _progress(done: int, total: int, name: str) -> None:
    if sys.stderr.isatty():
        print(f"\rtandem: package {done}/{total} {name:<40.40}", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif done % 10 == 0 or done == total:
        _say(f"package {done}/{total}")


def _say(text: str) -> None:
    print(f"tandem: {text}", file=sys.stderr, flush=True)


# --- hand over -------------------------------------------------------------------------------------------------------


def main(argv: Sequence[str]) -> int:
    args = parse(argv)
    try:
        python = python_to_run("dev" if args.command in DEVELOPER_COMMANDS else "runtime")
    except CannotStart as error:
        _say(str(error))
        return BAD_USE
    except KeyboardInterrupt:
        return 130
    if python is not None:
        return _run_again(python, argv)
    from app.launch.entry import run

    return run(args)


def _run_again(python: Path, argv: Sequence[str]) -> int:
    command = [str(python), str(Path(__file__).resolve()), *argv]
    if os.name != "nt":
        os.execv(python, command)  # the same process goes on: its id, its signals, its exit code
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 (this file is what tells a newcomer so)
        print("tandem: Python 3.11 or newer is needed", file=sys.stderr)
        sys.exit(BAD_USE)
    sys.exit(main(sys.argv[1:]))
