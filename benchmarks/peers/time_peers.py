"""Time this product's model and its peers on the same nations, one core each, and compare the answers.

    python benchmarks/peers/time_peers.py --folder DIR --python PYTHON [--core 1] [--cap 1200] [--sizes 10000x200 ...] [--only PEER ...]

DIR holds the data between runs; PYTHON is an interpreter with gpboost and statsmodels; Rscript must find lme4, MASS and
glmmTMB. Each fit runs in a process of its own, pinned to one core with one thread, and is ended after `cap` seconds; a peer that was
ended at one size is not started at a larger one. Ours is timed under the same pin before the peers of a size and after them, the
best of ten. Processor seconds are what the core spent on the fit alone, whatever else it served at the time. Answers are held
against the product's Laplace fit (for glmmPQL, whose criterion that is, against RSPL with a free scale): how far a peer's log
likelihood lies below the maximum, and its ERRs from those there.

Writes benchmarks/results/peers.json after every fit and takes up from there; --only does a peer again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "peers.json"
SIZES = ["10000x200", "100000x1000", "1000000x3500"]
VARIABLES, SEED = 40, 1
PEERS = [
    "gpboost_tight",
    "gpboost_default",
    "glmmTMB",
    "lme4_0",
    "glmmPQL",
    "statsmodels_map",
    "statsmodels_vb",
    "lme4_1",
]

OURS = """
import json, sys, time
from hrrp.model import RandomInterceptLogit
from hrrp.model.benchmark import synthetic_nation, peak_mb
stays, hospitals, variables, seed = map(int, sys.argv[1:5])
outcome, design, hospital = synthetic_nation(stays, hospitals, variables, seed)
build = lambda: RandomInterceptLogit(outcome, design, hospital, threads=1)
build().fit("rspl"), build().fit("laplace")
found = {}
for name, method in (("rspl", "rspl"), ("laplace", "laplace"), ("agq", "agq")):
    rows = []
    for _ in range(5):
        clock = lambda: (time.perf_counter(), time.process_time())
        a = clock(); model = build(); b = clock(); fit = model.fit(method); fit.err; c = clock()
        rows.append((c[0] - b[0], c[0] - a[0], c[1] - b[1], c[1] - a[1]))
    names = ("fit", "construct_and_fit", "fit_processor", "construct_and_fit_processor")
    found[name] = dict(zip(names, map(min, zip(*rows))))
found["peak_mb"] = peak_mb()
print(json.dumps(found))
"""


def write_nation(folder: Path, stays: int, hospitals: int) -> None:
    from hrrp.model.benchmark import synthetic_nation

    outcome, design, hospital = synthetic_nation(stays, hospitals, VARIABLES, SEED)
    folder.mkdir(parents=True, exist_ok=True)
    design.to_numpy(float).T.copy().tofile(folder / "design.f64")  # column by column
    outcome.astype(np.int32).tofile(folder / "outcome.i32")
    hospital.astype(np.int32).tofile(folder / "hospital.i32")
    (folder / "size.txt").write_text(f"{stays} {hospitals} {VARIABLES}\n")


def run(command: list[str], cap: float, core: int) -> tuple[str | None, dict[str, float]]:
    """Standard output, or None where it was ended after `cap` seconds; the process's peak memory and processor seconds."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command], stdout=subprocess.PIPE, text=True, env=os.environ | threads
    )
    deadline = time.monotonic() + cap
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            process.kill()
            _, status, usage = os.wait4(process.pid, 0)
            return None, used(usage)
        time.sleep(0.05)
    assert process.stdout is not None
    said = process.stdout.read()
    if status:
        raise RuntimeError(f"{' '.join(command)} failed")
    return said, used(usage)


def used(usage: Any) -> dict[str, float]:
    return {"peak_mb": usage.ru_maxrss // 1024, "process_processor_seconds": usage.ru_utime + usage.ru_stime}


class Maximum:
    """The product's own answer at one size, and how far another lies from it."""

    def __init__(self, stays: int, hospitals: int) -> None:
        from hrrp.model import RandomInterceptLogit
        from hrrp.model.benchmark import synthetic_nation

        outcome, design, hospital = synthetic_nation(stays, hospitals, VARIABLES, SEED)
        self.X, self.hospital, self.hospitals = design.to_numpy(np.float32), hospital, hospitals
        self.model = RandomInterceptLogit(outcome, design, hospital)
        self.laplace = self.model.fit("laplace", tolerance=1e-10)
        self.pql = self.model.fit("rspl", restricted=False, free_scale=True)

    def compared(self, folder: Path, peer: str) -> dict[str, float]:
        from hrrp.model.likelihood import LAPLACE, one_pass

        own = self.pql if peer == "glmmPQL" else self.laplace
        answer = np.fromfile(folder / f"{peer}.answer")
        beta, effect, tau2 = answer[: VARIABLES + 1], answer[VARIABLES + 1 : -1], answer[-1]
        eta = beta[0] + self.X @ beta[1:]
        expected = np.bincount(self.hospital, expit(eta), self.hospitals)
        predicted = np.bincount(self.hospital, expit(eta + effect[self.hospital]), self.hospitals)
        found = {
            "tau2": float(tau2),
            "tau2_ours": own.tau2,
            "largest_err_difference": float(np.abs(predicted / expected - own.err.to_numpy()).max()),
            "largest_coefficient_difference": float(np.abs(beta - own.params.to_numpy()).max()),
        }
        if peer != "glmmPQL":
            stays = self.model.stays
            sums = one_pass(stays, stays.from_user @ beta, float(tau2), effect, LAPLACE)
            found["log_likelihood_short"] = float(own.llf - sums.log_likelihood)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--cap", type=float, default=1200.0)
    parser.add_argument("--sizes", nargs="*", default=SIZES)
    parser.add_argument("--only", nargs="*", default=PEERS)
    asked = parser.parse_args()
    document: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"fits": {}, "ours": {}}
    document["how"] = {"core": "one, pinned", "cap_seconds": asked.cap, "variables": VARIABLES, "seed": SEED}
    document["versions"] = versions(asked.python)
    RESULTS.parent.mkdir(exist_ok=True)

    def keep() -> None:
        RESULTS.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")

    for size in asked.sizes:
        stays, hospitals = (int(part) for part in size.split("x"))
        folder = asked.folder / size
        write_nation(folder, stays, hospitals)
        own = document["ours"].setdefault(size, [])

        def ours(size: str = size, own: list[Any] = own, stays: int = stays, hospitals: int = hospitals) -> None:
            command = [sys.executable, "-c", OURS, str(stays), str(hospitals), str(VARIABLES), str(SEED)]
            said, _ = run(command, asked.cap, asked.core)
            own.append(json.loads(said or "{}"))
            print(size, "ours", said, flush=True)
            keep()

        ours()
        maximum = Maximum(stays, hospitals)
        for peer in asked.only:
            smaller = [
                document["fits"].get(f"{other} {peer}", {}) for other in SIZES if int(other.split("x")[0]) < stays
            ]
            if any(fit.get("ended") for fit in smaller):
                document["fits"][f"{size} {peer}"] = {"ended": True, "started": False}
                keep()
                continue
            inside = [asked.python, str(HERE / "fit_one.py")]
            if peer.startswith(("lme4", "glmm")):
                inside = ["Rscript", str(HERE / "fit_one.R")]
            said, usage = run([*inside, str(folder), peer], asked.cap, asked.core)
            if said is None:
                fit: dict[str, Any] = {"ended": True, "started": True}
            else:
                line = next(line for line in said.splitlines() if line.startswith("FIT"))
                wall, processor = (float(part) for part in line.split()[1:])
                fit = {"ended": False, "seconds": wall, "processor_seconds": processor} | maximum.compared(folder, peer)
            document["fits"][f"{size} {peer}"] = fit | usage | {"load": os.getloadavg()[0]}
            print(size, peer, document["fits"][f"{size} {peer}"], flush=True)
            keep()
        ours()


def versions(python: str) -> dict[str, str]:
    ask = "from importlib.metadata import version as v; print(*(f'{p}={v(p)}' for p in ('gpboost', 'statsmodels', 'numpy')))"
    theirs = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    ask_r = 'cat(R.version$minor, sapply(c("lme4", "glmmTMB", "MASS", "nlme"), function(p) as.character(packageVersion(p))))'
    minor, *rest = subprocess.run(["Rscript", "-e", ask_r], capture_output=True, text=True, check=True).stdout.split()
    found = {"python": platform.python_version(), "R": f"4.{minor}"} | dict(part.split("=") for part in theirs)
    found |= dict(zip(("lme4", "glmmTMB", "MASS", "nlme"), rest, strict=True))
    return found | {f"ours: {name}": version(name) for name in ("hrrp", "numpy", "numba")}


if __name__ == "__main__":
    main()
