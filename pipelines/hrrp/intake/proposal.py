"""A mapping for an extract that is not in a known layout: which of its files and headings are most likely meant for what.

The proposal is the text of the [mapping.<file>] blocks of hrrp.toml; `Settings.mapping` applies them once a person has agreed.
"""

from __future__ import annotations

import fnmatch
import glob
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from string import digits

from hrrp.errors import InputContractError
from hrrp.intake.extract import canonical_files
from hrrp.intake.layout import CANONICAL, NUMBER, FileLayout, looks_like_a_heading, match, normal, propose
from hrrp.settings import Settings
from hrrp.warehouse import Heading, Member, read_heading

# Headings of numbered columns: DX1, Diagnosis Code 2, ICD10_DX_03, PROC4; the letters before the number tell what they are.
_NUMBERED = {
    "diagnoses": re.compile(
        r"^((?:.*(?:dx|diag|icd|dgns)[a-z_ ]*?)[ _-]?)(0?[1-9][0-9]?)((?:[ _-]?(?:code|cd))?)$", re.IGNORECASE
    ),
    "procedures": re.compile(
        r"^((?:.*(?:px|proc|prcdr|pcs)[a-z_ ]*?)[ _-]?)(0?[1-9][0-9]?)((?:[ _-]?(?:code|cd))?)$", re.IGNORECASE
    ),
}
# A list of codes fits several tables: what sets one apart must show in its headings or in the name of its file.
_HINTS = {
    "procedures": re.compile(r"px|proc|prcdr|pcs", re.IGNORECASE),
    "history_diagnoses": re.compile(
        r"history.*(dx|diag)|(dx|diag).*history|outpatient|professional|carrier", re.IGNORECASE
    ),
    "history_procedures": re.compile(r"history.*(px|proc)|(px|proc).*history", re.IGNORECASE),
}
# A hospital's own extract knows a person by the medical record number.
_RECORD_NUMBER = re.compile(r"^(mrn|medical_?rec(ord)?_?(no|nbr|num|number|id)?_?)$")
_POA = re.compile(r"poa|present", re.IGNORECASE)
FEWEST_NUMBERED = 2


@dataclass(frozen=True)
class ProposedFile:
    """One canonical file's mapping: the file it is in, headings by canonical column, and the columns that nothing looks like.

    `is_as_it_is`: names and headings are the canonical ones already, so that there is nothing to map.
    """

    name: str
    file: str
    columns: dict[str, str]
    without: tuple[str, ...]
    is_as_it_is: bool

    def toml(self) -> str:
        """The block for hrrp.toml."""
        lines = [f"[mapping.{self.name}]", f"file = {json.dumps(self.file)}"]
        lines += [f"{column} = {json.dumps(heading)}" for column, heading in self.columns.items()]
        lines += [f"# {column}: no heading looks like it" for column in self.without]
        return "\n".join(lines)


def propose_mapping(readable: Sequence[Member], settings: Settings) -> list[ProposedFile]:
    """The most likely mapping of a flat extract, in the order of the canonical files; files that fit nothing are left out."""
    headings: list[Heading] = []
    for member in readable:
        try:
            headings.append(read_heading(member))
        except InputContractError:
            continue
    proposed = []
    for layout in CANONICAL.values():
        offers = [offer for heading in headings if (offer := _offer(layout, heading, settings)) is not None]
        if offers:
            score, best = max(offers, key=lambda offer: offer[0])
            if score >= (0.5 if layout.required else 1.0):
                alike = {offer.file for _, offer in offers if offer.columns == best.columns}
                others = {heading.member.file_name for heading in headings} - alike
                proposed.append(replace(best, file=_pattern(best.file, alike, others)))
    return proposed


def _pattern(file: str, alike: set[str], others: set[str]) -> str:
    """What takes in every file of the same columns (visits_2024.csv, visits_2025.csv: visits_*.csv) and no other; else the one file."""
    names = sorted(alike)
    start = _beginning(names)
    end = _beginning([name[len(start) :][::-1] for name in names])[::-1].lstrip(digits)
    start = start.rstrip(digits)
    pattern = f"{glob.escape(start)}*{glob.escape(end)}"
    telling = start or not end.startswith(".")
    taken = [name for name in others if fnmatch.fnmatch(name.lower(), pattern.lower())]
    return pattern if len(names) > 1 and telling and not taken else glob.escape(file)


def _beginning(names: Sequence[str]) -> str:
    """The signs that all names begin with."""
    same = takewhile(lambda signs: len(set(signs)) == 1, zip(*names, strict=False))
    return "".join(signs[0] for signs in same)


def _offer(layout: FileLayout, heading: Heading, settings: Settings) -> tuple[float, ProposedFile] | None:
    """How well a file would serve as a canonical file (the share of its required columns), and the mapping for it."""
    named = layout.name in canonical_files(heading.member, settings.mapping)
    own = match(layout, heading.names)
    columns = {
        column.name: heading.names[field.position]
        for column, field in zip(layout.columns, own.fields, strict=True)
        if field.position is not None
    }
    columns |= propose(layout, heading.names, only=own.absent)
    if "person_id" in own.absent and "person_id" not in columns:
        numbers = [name for name in heading.names if _RECORD_NUMBER.match(normal(name))]
        columns |= {"person_id": numbers[0]} if numbers else {}
    numbered = _numbered(layout.name, heading.names)
    if numbered:
        columns = {
            name: text for name, text in columns.items() if name not in ("code", "poa", "sequence", "procedure_date")
        }
        columns |= numbered
    required = [
        column.name for column in layout.columns if column.required and not (numbered and column.name == "sequence")
    ]
    found = [name for name in required if name in columns]
    # The codes, dates or payments are what makes the file; a bare identifier fits anything.
    telling = [name for name in required if name not in ("stay_id", "person_id", "ccn", "sequence")]
    if not named and not any(name in columns for name in telling):
        return None
    others = [name for name in canonical_files(heading.member, settings.mapping) if name != layout.name]
    hint = _HINTS.get(layout.name)
    hinted = hint is None or bool(numbered) or bool(hint.search(f"{heading.member.stem} {columns.get('code', '')}"))
    if not named and (others or not hinted):
        return None
    score = len(found) / len(required) + (1 if named else 0)
    ordered = {name: columns[name] for name in layout.column_names if name in columns}
    without = tuple(name for name in required if name not in columns)
    as_it_is = named and not without and all(normal(theirs) == ours for ours, theirs in ordered.items())
    return score, ProposedFile(layout.name, heading.member.file_name, ordered, without, as_it_is)


def _numbered(name: str, headings: Sequence[str]) -> dict[str, str]:
    """Numbered columns side by side as patterns with {n}: the longest family of code columns, and the indicators beside them."""
    if name not in _NUMBERED:
        return {}
    families: dict[tuple[str, str], set[int]] = {}
    indicators: dict[str, int] = {}
    for heading in headings:
        if not looks_like_a_heading(heading):
            continue
        if _POA.search(heading):
            pattern = re.sub(r"0?[1-9][0-9]?", NUMBER, heading, count=1)
            indicators[pattern] = indicators.get(pattern, 0) + 1
            continue
        found = _NUMBERED[name].match(heading)
        if found and not (name == "diagnoses" and _NUMBERED["procedures"].match(heading)):
            families.setdefault((found[1], found[3]), set()).add(int(found[2]))
    if not families:
        return {}
    (before, after), numbers = max(families.items(), key=lambda family: (len(family[1]), -len(normal(family[0][0]))))
    if len(numbers) < FEWEST_NUMBERED:
        return {}
    patterns = {"code": f"{before}{NUMBER}{after}"}
    if name == "diagnoses" and indicators:
        best = max(indicators, key=lambda pattern: indicators[pattern])
        if indicators[best] >= FEWEST_NUMBERED:
            patterns["poa"] = best
    return patterns
