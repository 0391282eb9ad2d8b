"""What a source looks like: its files, their columns, the headings that they may stand under; the canonical extract's columns.

A layout is data. Matching headings to columns, and saying kindly what does not match, is done here once for every source.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hrrp.errors import InputContractError, UsageError
from hrrp.warehouse import Field, Heading

Kind = Literal["text", "date", "month"]


@dataclass(frozen=True)
class Column:
    """One column: its name inside, whether the file must have it, and the other headings under which sources carry it.

    `width` is the length of a code that a number has lost leading zeros of; `free_text` marks names and the like.
    `null_is_value`: empty throughout is an answer (nobody died) and not a sign that the column was never filled. `as_typed`: left a
    number or a date where the file has it as one and is read where it lies.
    """

    name: str
    required: bool = True
    also: tuple[str, ...] = ()
    kind: Kind = "text"
    width: int = 0
    free_text: bool = False
    null_is_value: bool = False
    as_typed: bool = False


@dataclass(frozen=True)
class FileLayout:
    """One file of a source. `title` is what a person calls it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    required: bool = True

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def optional(name: str, *also: str, kind: Kind = "text", width: int = 0, null_is_value: bool = False) -> Column:
    """A column that a file may lack."""
    return Column(name, False, also, kind, width, null_is_value=null_is_value)


def required(name: str, *also: str, kind: Kind = "text", width: int = 0, as_typed: bool = False) -> Column:
    """A column that a file must have."""
    return Column(name, True, also, kind, width, as_typed=as_typed)


# The canonical extract (docs/design.md): every source ends as these tables.
CANONICAL: dict[str, FileLayout] = {
    layout.name: layout
    for layout in (
        FileLayout(
            "stays",
            "inpatient stays",
            (
                required("stay_id"),
                required("person_id"),
                required("ccn", width=6),
                required("admit_date", kind="date"),
                required("discharge_date", kind="date"),
                required("discharge_status", width=2),
                optional("admit_type"),
                optional("admit_source"),
                optional("drg", width=3),
                optional("payer"),
                optional("is_short_term_acute"),
                optional("is_cah"),
                optional("base_operating_drg_amount"),
                optional("total_paid"),
                optional("medical_record_number"),
            ),
        ),
        FileLayout(
            "diagnoses",
            "diagnoses of the stays",
            (required("stay_id"), required("sequence", as_typed=True), required("code"), optional("poa")),
        ),
        FileLayout(
            "procedures",
            "procedures of the stays",
            (
                required("stay_id"),
                required("sequence", as_typed=True),
                required("code"),
                optional("procedure_date", kind="date"),
            ),
            required=False,
        ),
        FileLayout(
            "persons",
            "birth date, sex and death date of each person",
            (
                required("person_id"),
                required("birth_date", kind="date"),
                required("sex"),
                optional("death_date", kind="date", null_is_value=True),
            ),
        ),
        FileLayout(
            "enrollment",
            "Medicare enrollment by month",
            (
                required("person_id"),
                required("month", kind="month"),
                required("part_a"),
                required("part_b"),
                required("ffs"),
                required("ma"),
                optional("dual_code", width=2),
            ),
            required=False,
        ),
        FileLayout(
            "history_diagnoses",
            "diagnoses of earlier outpatient, professional and inpatient care",
            (
                required("person_id"),
                required("service_date", kind="date", as_typed=True),
                required("code"),
                optional("source"),
            ),
            required=False,
        ),
        FileLayout(
            "history_procedures",
            "procedures of earlier outpatient, professional and inpatient care",
            (
                required("person_id"),
                required("service_date", kind="date", as_typed=True),
                required("code"),
                optional("source"),
            ),
            required=False,
        ),
        FileLayout(
            "hospitals",
            "hospitals and what is known of their payments",
            (
                required("ccn", width=6),
                Column("name", free_text=True),
                optional("state"),
                optional("annual_base_operating_payments"),
                optional("peer_group"),
                optional("dual_proportion"),
                optional("exempt", null_is_value=True),
                optional("excluded_quarters", null_is_value=True),
            ),
            required=False,
        ),
    )
}


# ---------------------------------------------------------------------------------------------------------------------
# Headings
# ---------------------------------------------------------------------------------------------------------------------


def normal(heading: str) -> str:
    """A heading without case, quotation marks, and the difference between space, hyphen and underscore."""
    return re.sub(r"[\s\-.]+", "_", heading.strip().strip('"').strip().lower())


@dataclass(frozen=True)
class Match:
    """How the headings of one file fit a layout."""

    fields: tuple[Field, ...]
    missing: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    unmapped: tuple[tuple[str, str], ...] = ()
    numbered: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()

    @property
    def is_complete(self) -> bool:
        """The file can be read: nothing required is missing and no heading stands twice."""
        return not (self.missing or self.duplicates or self.unmapped)


NUMBER = "{n}"
MOST_NUMBERED = 99


def is_numbered(found: Match) -> bool:
    """Whether the file's values stand side by side in numbered columns."""
    return bool(found.numbered)


def match(layout: FileLayout, headings: Sequence[str], mapping: Mapping[str, str] | None = None) -> Match:
    """Find each column's heading: the site's mapping first, then the column's own name, then its other names.

    A mapping with {n} (code = "DX{n}") stands for as many numbered headings as the file has; the fields are then `code_1`,
    `code_2`, ... and `numbers` says which; a column `sequence` that is not mapped is the number.
    """
    places: dict[str, list[int]] = {}
    for position, heading in enumerate(headings):
        if normal(heading):
            places.setdefault(normal(heading), []).append(position)
    mapping = mapping or {}
    patterns = {name: pattern for name, pattern in mapping.items() if NUMBER in pattern}
    numbers = tuple(
        n
        for n in range(1, MOST_NUMBERED + 1)
        if any(_numbered_heading(pattern, n, places) for name, pattern in patterns.items() if name == "code")
    )
    fields, missing, absent, unmapped = [], [], [], []
    used: set[str] = set()
    for column in layout.columns:
        if column.name in patterns and numbers:
            for n in numbers:
                found = _numbered_heading(patterns[column.name], n, places)
                used |= {found} if found else set()
                fields.append(
                    Field(f"{column.name}_{n}", places[found][0] if found else None, column.kind, column.width)
                )
            continue
        names = [mapping[column.name]] if column.name in mapping else [column.name, *column.also]
        found = next((normal(name) for name in names if normal(name) in places), None)
        if found is None:
            if column.name in mapping:
                unmapped.append((column.name, mapping[column.name]))
            elif column.required and not (numbers and column.name == "sequence"):
                missing.append(column.name)
            absent.append(column.name)
        else:
            used.add(found)
        place = None if found is None else places[found][0]
        fields.append(Field(column.name, place, column.kind, column.width, column.free_text, column.as_typed))
    return Match(
        fields=tuple(fields),
        missing=tuple(missing),
        absent=tuple(absent),
        ignored=tuple(headings[spots[0]] for name, spots in places.items() if name not in used),
        duplicates=tuple(headings[places[name][0]] for name in used if len(places[name]) > 1),
        unmapped=tuple(unmapped),
        numbered=tuple(patterns) if numbers else (),
        numbers=numbers,
    )


def _numbered_heading(pattern: str, n: int, places: Mapping[str, Sequence[int]]) -> str | None:
    """The heading that a pattern stands for at the number n, written 3 or 03."""
    tried = (normal(pattern.replace(NUMBER, str(n))), normal(pattern.replace(NUMBER, f"{n:02d}")))
    return next((name for name in tried if name in places), None)


def faults(layout: FileLayout, heading: Heading, found: Match) -> list[str]:
    """What keeps a file from being read, one sentence each."""
    name, sentences = heading.member.name, []
    if found.duplicates:
        twice = ", ".join(sorted(found.duplicates))
        sentences.append(
            f"{name}: the heading {twice} stands more than once, so it is not certain which column is meant"
        )
    for column, theirs in found.unmapped:
        sentences.append(
            f'{name}: hrrp.toml maps {column} to "{theirs}", which is not among the headings ({shown(heading.names)})'
        )
    if found.missing:
        near = propose(layout, heading.names, only=found.missing)
        meant = "".join(f" Did you mean {ours} for {theirs}?" for ours, theirs in near.items())
        many = "columns" if len(found.missing) > 1 else "column"
        sentences.append(
            f"{name}: required {many} {', '.join(found.missing)} not found.{meant} Headings seen: {shown(heading.names)}"
        )
    return sentences


def refuse(sentences: Sequence[str]) -> None:
    """Raise one InputContractError for all faults of an extract's headings, with what to do."""
    if sentences:
        raise InputContractError(
            ". ".join(sentences)
            + '. Correct the headings, or map them in hrrp.toml ([mapping.<file>] with lines like discharge_date = "their heading"); '
            "hrrp check DIR proposes the lines."
        )


def check_mapping(mapping: Mapping[str, Mapping[str, str]]) -> None:
    """Raise UsageError where hrrp.toml maps a file or column that does not exist."""
    for file, columns in mapping.items():
        if file not in CANONICAL:
            raise UsageError(
                f"hrrp.toml: [mapping.{file}] is no file of the extract. They are: {', '.join(CANONICAL)}."
            )
        unknown = [name for name in columns if name not in CANONICAL[file].column_names]
        if unknown:
            raise UsageError(
                f"hrrp.toml: [mapping.{file}] names {', '.join(unknown)}; the columns of {file} are: "
                f"{', '.join(CANONICAL[file].column_names)}."
            )


def looks_like_a_heading(name: str) -> bool:
    """A name and not a value: what stands in the first line of a file without headings may be a patient's."""
    return bool(re.fullmatch(r"[A-Za-z][\w .#/()\-]{0,59}", name)) and not re.search(r"\d{3}", name)


def shown(headings: Sequence[str], most: int = 30) -> str:
    """Headings for a message; nothing is shown of a first line that seems to hold values."""
    names = [name for name in headings if looks_like_a_heading(name)]
    if len(names) * 2 < len([name for name in headings if name]):
        return f"none (the first line has {len(headings)} fields that look like values; a heading line was expected)"
    more = len(headings) - len(names[:most])
    return ", ".join(names[:most]) + (f" and {more} more" if more else "")


# ---------------------------------------------------------------------------------------------------------------------
# Near misses
# ---------------------------------------------------------------------------------------------------------------------

# What hospitals' exports call the canonical columns; compared after `_tokens`.
KNOWN_AS: dict[str, tuple[str, ...]] = {
    "stay_id": (
        "encounter_id",
        "visit_id",
        "claim_id",
        "account_number",
        "encounter_number",
        "visit_number",
        "csn",
        "hadm_id",
        "har",
    ),
    "person_id": ("patient_id", "member_id", "beneficiary_id", "mbi", "subject_id", "enterprise_id", "empi", "mpi"),
    "ccn": (
        "provider_number",
        "medicare_provider_number",
        "cms_certification_number",
        "hospital_ccn",
        "facility_ccn",
        "prvdr_num",
    ),
    "admit_date": ("admission_date", "date_of_admission", "inpatient_admit_date", "admit_time", "admission_time"),
    "discharge_date": ("date_of_discharge", "discharge_time"),
    "discharge_status": (
        "discharge_disposition",
        "patient_status",
        "discharge_status_code",
        "disposition_code",
        "patient_status_code",
    ),
    "admit_type": ("admission_type", "type_of_admission", "priority_of_visit", "admission_type_code"),
    "admit_source": ("admission_source", "point_of_origin", "source_of_admission", "admission_source_code"),
    "drg": ("ms_drg", "drg_code", "msdrg", "drg_number"),
    "payer": ("payor", "primary_payer", "insurance", "financial_class", "payer_type"),
    "base_operating_drg_amount": ("base_operating_amount", "base_operating_payment", "base_operating_drg_payment"),
    "total_paid": ("paid_amount", "payment_amount", "total_payment", "amount_paid"),
    "medical_record_number": ("mrn", "medical_record_no", "chart_number"),
    "sequence": (
        "line",
        "diagnosis_sequence",
        "rank",
        "position",
        "diagnosis_number",
        "procedure_sequence",
        "seq",
        "order",
    ),
    "code": ("diagnosis_code", "icd_code", "icd10_code", "icd_10_code", "procedure_code", "icd10", "diagnosis"),
    "poa": ("present_on_admission", "poa_indicator", "poa_flag", "present_on_admit_code"),
    "procedure_date": ("date_of_procedure", "performed_date", "service_date"),
    "birth_date": ("date_of_birth", "dob", "birthdate"),
    "sex": ("gender", "sex_code", "gender_code"),
    "death_date": ("date_of_death", "dod", "deceased_date"),
    "month": ("year_month", "coverage_month", "enrollment_month", "yearmonth"),
    "dual_code": ("dual_status", "dual_status_code", "medicaid_dual_code"),
    "service_date": ("date_of_service", "dos", "from_date", "claim_date"),
    "name": ("hospital_name", "facility_name"),
    "state": ("hospital_state", "state_code"),
    "annual_base_operating_payments": ("base_operating_payments", "annual_base_payments", "annual_payments"),
}
_SHORT_FORMS = {
    "dt": "date",
    "dte": "date",
    "tm": "time",
    "dttm": "time",
    "datetime": "time",
    "dischg": "discharge",
    "disch": "discharge",
    "dsch": "discharge",
    "dschrg": "discharge",
    "dschg": "discharge",
    "dc": "discharge",
    "adm": "admit",
    "admsn": "admit",
    "admission": "admit",
    "admitted": "admit",
    "discharged": "discharge",
    "pt": "patient",
    "pat": "patient",
    "ptnt": "patient",
    "num": "number",
    "no": "number",
    "nbr": "number",
    "cd": "code",
    "dx": "diagnosis",
    "diag": "diagnosis",
    "dgns": "diagnosis",
    "px": "procedure",
    "proc": "procedure",
    "prcdr": "procedure",
    "stus": "status",
    "stat": "status",
    "sts": "status",
    "dispo": "disposition",
    "disp": "disposition",
    "enc": "encounter",
    "encntr": "encounter",
    "bene": "beneficiary",
    "prov": "provider",
    "prvdr": "provider",
    "fac": "facility",
    "hosp": "hospital",
    "src": "source",
    "typ": "type",
    "amt": "amount",
    "pmt": "payment",
    "ind": "indicator",
    "seq": "sequence",
    "identifier": "id",
    "key": "id",
}
NEAR = 0.8


def _tokens(name: str) -> tuple[str, ...]:
    """A heading's words, camel case taken apart and short forms written out."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name.strip())
    return tuple(_SHORT_FORMS.get(word, word) for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word)


def nearness(column: str, heading: str) -> float:
    """How much a heading looks like the column: 1 for a known other name, else the likeness of their words, 0 to 1."""
    theirs = " ".join(sorted(_tokens(heading)))
    best = 0.0
    for known in (column, *KNOWN_AS.get(column, ())):
        ours = " ".join(sorted(_tokens(known)))
        if ours == theirs:
            return 1.0 if known == column else 0.99
        best = max(best, difflib.SequenceMatcher(None, ours, theirs).ratio() * 0.98)
    return best


def propose(layout: FileLayout, headings: Sequence[str], only: Sequence[str] | None = None) -> dict[str, str]:
    """The most likely heading for each column (of `only`), each heading given once; columns without a likely one are left out."""
    wanted = [name for name in layout.column_names if only is None or name in only]
    taken = {normal(name) for name in layout.column_names if only is not None and name not in only}
    offered = [heading for heading in headings if looks_like_a_heading(heading) and normal(heading) not in taken]
    ranked = sorted(
        ((nearness(column, heading), column, heading) for column in wanted for heading in offered),
        key=lambda entry: (-entry[0], wanted.index(entry[1])),
    )
    given: dict[str, str] = {}
    for score, column, heading in ranked:
        if score >= NEAR and column not in given and heading not in given.values():
            given[column] = heading
    return {column: given[column] for column in wanted if column in given}
