"""What we stand on: pinned, explained, licensed, and fitting together. What is not looked at here cannot be installed by our files."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PINNED = re.compile(r"[a-z0-9][a-z0-9._-]*==[0-9][A-Za-z0-9.]*( ; .+)?")
LICENCES = re.compile(r"MIT|BSD|Apache|PSF|Python Software Foundation|MPL|Mozilla|ISC|ZPL|Zope", re.IGNORECASE)
UNSTATED = {"smartapi-python"}
"""Explained in docs/dependencies.md."""


def lines(name: str) -> list[str]:
    return [line for raw in (ROOT / name).read_text().splitlines() if (line := raw.partition("#")[0].strip()) and not line.startswith("-r")]


def installed() -> list[str]:
    return [r.name for line in lines("requirements.txt") if (r := Requirement(line)).marker is None or r.marker.evaluate()]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_is_pinned_to_one_version_and_comes_from_nowhere_special(name: str) -> None:
    loose = [line for line in lines(name) if not PINNED.fullmatch(line)]
    assert loose == []


def test_every_package_that_we_ask_for_is_explained() -> None:
    rows = re.findall(
        r"^\| ([a-z0-9-]+) \| ([0-9.]+) \| (\d{4}-\d\d) \| ([^|]+) \| ([^|]+) \|$",
        (ROOT / "docs/dependencies.md").read_text(),
        re.MULTILINE,
    )
    explained = {f"{name}=={version}" for name, version, *_ in rows}
    assert explained == set(lines("requirements.in"))


def test_every_licence_lets_us_use_it() -> None:
    doubtful = {}
    for name in installed():
        told = metadata.metadata(name)
        words = [told.get("License-Expression") or told.get("License") or "", *(told.get_all("Classifier") or [])]
        said = " ".join(word for word in words if "License" in word or "::" not in word)
        if not LICENCES.search(said) or re.search(r"\bA?GPL", said.replace("LGPL", "")):
            doubtful[name] = said[:80]
    assert set(doubtful) == UNSTATED, doubtful


def test_what_is_installed_is_what_is_pinned_and_fits_together() -> None:
    """A lock that was edited by hand, or half installed, is found here and not at 09:15."""
    wrong = []
    for line in lines("requirements.txt"):
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        if not wanted.specifier.contains(metadata.version(wanted.name), prereleases=True):
            wrong.append(f"{line}: {metadata.version(wanted.name)} is installed")
        for needed in map(Requirement, metadata.requires(wanted.name) or []):
            if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
                continue
            if canonicalize_name(needed.name) not in {canonicalize_name(name) for name in installed()}:
                wrong.append(f"{wanted.name} needs {needed.name}, which is not pinned")
            elif not needed.specifier.contains(metadata.version(needed.name), prereleases=True):
                wrong.append(f"{wanted.name} needs {needed}, {metadata.version(needed.name)} is installed")
    assert wrong == []
