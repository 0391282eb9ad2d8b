"""Timing of the hierarchical model on a synthetic nation: what `hrrp benchmark model` runs.

Times are wall-clock, the best of some repetitions with all of them listed, in this process with its data in memory;
processor seconds are what all its threads together spent, which tells how much a machine shared with others has added;
peak memory is the whole process's, data and libraries included, up to the end of the step. Nothing is read from or
written to files.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from hrrp.model.likelihood import kernel_name
from hrrp.model.random_intercept import RandomInterceptLogit
from hrrp.model.results import RandomInterceptResults

TAU2 = 0.04
RATE = 0.15
NUMBERS = 2
SCALING = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Timing:
    """One step: the best time, all times, the least processor time, and the process's peak memory at its end."""

    what: str
    stays: int
    hospitals: int
    seconds: float
    all_seconds: list[float]
    processor_seconds: float
    peak_mb: int


def synthetic_nation(
    stays: int, hospitals: int, variables: int, seed: int
) -> tuple[NDArray[np.uint8], pd.DataFrame, NDArray[np.int32]]:
    """Outcome, design and hospital, sorted by hospital: two numbers, the other variables flags carried by 5 to 40 % of
    stays, more or fewer of them hospital by hospital; sizes log-normal, at least 25 stays where there are enough; about
    15 % readmitted."""
    rng = np.random.default_rng(seed)
    weight = rng.lognormal(0.0, 1.0, hospitals)
    least = min(25, stays // (2 * hospitals))
    size = least + rng.multinomial(stays - least * hospitals, weight / weight.sum())
    hospital = np.repeat(np.arange(hospitals, dtype=np.int32), size)
    flags = np.empty((variables - NUMBERS, stays), dtype=np.uint8)
    linear = np.sqrt(TAU2) * rng.normal(size=hospitals)[hospital]
    for k, share in enumerate(np.exp(rng.uniform(np.log(0.05), np.log(0.40), len(flags)))):
        logit = np.log(share / (1 - share)) + 0.3 * rng.normal(size=hospitals)
        flags[k] = rng.random(stays) < expit(logit)[hospital]
        linear += rng.normal(0.08, 0.12) * flags[k]
    numbers = np.empty((NUMBERS, stays))
    numbers[0] = np.clip(np.round(rng.normal(13, 8, stays)), 0, 40)
    numbers[1] = np.log1p(rng.poisson(1.2, stays))
    linear += 0.012 * numbers[0] + 0.25 * numbers[1]
    shift = 0.0
    for _ in range(20):  # the intercept that gives the rate
        risk = expit(linear + shift)
        shift -= (risk.mean() - RATE) / (risk * (1 - risk)).mean()
    outcome = (rng.random(stays) < expit(linear + shift)).astype(np.uint8)
    left = pd.DataFrame(numbers.T, columns=["age_65", "log_earlier_stays"], copy=False)
    right = pd.DataFrame(flags.T, columns=[f"flag_{k + 1}" for k in range(len(flags))], copy=False)
    return outcome, pd.concat([left, right], axis=1), hospital


def peak_mb() -> int:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def compilation_seconds() -> dict[str, float]:
    """Time to the first use of both kernels in a new process: with nothing compiled, and with the cache of the
    first."""
    code = (
        "import time, sys; from hrrp.model import kernel_numba, bootstrap_numba; began = time.perf_counter(); "
        "kernel_numba._compile(); bootstrap_numba._compile(); print(time.perf_counter() - began)"
    )
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cold", "cached"):
            environment = os.environ | {"NUMBA_CACHE_DIR": folder}
            answer = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
            )
            found[name] = round(float(answer.stdout), 2)
    return found


def measure(
    stays: int,
    hospitals: int,
    variables: int,
    replicates: int,
    *,
    threads: int | None = None,
    seed: int = 1,
    repetitions: int = 5,
    scaling: bool = True,
    compile_anew: bool = True,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Every figure as a document: the data, the timings, the bootstrap, the scaling with its exponent, the answers
    themselves."""
    timings: list[Timing] = []

    def timed(what: str, run: Callable[[], Any], repeat: int, n: int = stays) -> Any:
        progress(what)
        seconds, processor = [], []
        answer = None
        for _ in range(repeat):
            answer = None  # the answer before goes first, so that memory counts one
            began, spent = time.perf_counter(), time.process_time()
            answer = run()
            seconds.append(round(time.perf_counter() - began, 4))
            processor.append(round(time.process_time() - spent, 4))
        timings.append(Timing(what, n, hospitals, min(seconds), seconds, min(processor), peak_mb()))
        return answer

    def fit(model: RandomInterceptLogit, **options: Any) -> RandomInterceptResults:
        fitted = model.fit(**options)
        _ = fitted.err
        return fitted

    compiled = kernel_name() == "numba"
    compilation: dict[str, float] | None = None
    if compiled and compile_anew:
        progress("compilation")
        compilation = compilation_seconds()
    progress("data")
    outcome, design, hospital = synthetic_nation(stays, hospitals, variables, seed)
    small = np.arange(min(stays, 4000))
    warm = RandomInterceptLogit(outcome[small], design.iloc[small, :4], hospital[small] % 7)
    warm.fit()

    def build() -> RandomInterceptLogit:
        return RandomInterceptLogit(outcome, design, hospital, threads=threads)

    model: RandomInterceptLogit = timed("construct: check, sort and pack", build, repetitions)
    rspl = timed("RSPL with all ERRs", lambda: fit(model), repetitions)
    timed("construct and RSPL with all ERRs", lambda: fit(build()), repetitions)
    answers: dict[str, Any] = {"rspl": _answer(rspl)}
    boot = None
    if replicates:
        rspl.bootstrap(1, seed)  # compiles
        boot = timed(f"bootstrap, {replicates} replicates", lambda: rspl.bootstrap(replicates, seed), 3)
    answers["laplace"] = _answer(timed("Laplace with all ERRs", lambda: fit(model, method="laplace"), repetitions))
    agq = timed("quadrature, 7 nodes, with all ERRs", lambda: fit(model, method="agq", nodes=7), repetitions)
    answers["agq"] = _answer(agq)
    if compiled:
        with _environment("HRRP_NO_NUMBA", "1"):
            plain = timed("RSPL with all ERRs, numpy only", lambda: fit(model), 3)
        answers["rspl_numpy"] = _answer(plain)
        answers["largest_err_difference_numpy"] = float(np.abs(plain.err - rspl.err).max())
    document: dict[str, Any] = {
        "data": {
            "stays": stays,
            "hospitals": hospitals,
            "variables": variables,
            "seed": seed,
            "readmission_rate": float(outcome.mean()),
            "tau2": TAU2,
        },
        "threads": model.threads,
        "kernel": kernel_name(),
        "compilation_seconds": compilation,
        "answers": answers,
        "bootstrap": None if boot is None else {"replicates": boot.replicates, "failed": boot.failed},
    }
    if scaling:
        del model, outcome, design, hospital, rspl, agq, warm, boot
        sizes = [_scaled(timed, fit, share, stays, hospitals, variables, threads, seed) for share in SCALING]
        logs = np.log([[size["stays"], size["seconds"]] for size in sizes])
        document["scaling"] = sizes
        document["scaling_exponent"] = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
    document["timings"] = [asdict(timing) for timing in timings]
    return document


def _scaled(
    timed: Callable[..., Any],
    fit: Callable[..., RandomInterceptResults],
    share: float,
    stays: int,
    hospitals: int,
    variables: int,
    threads: int | None,
    seed: int,
) -> dict[str, float]:
    n = round(stays * share)
    outcome, design, hospital = synthetic_nation(n, hospitals, variables, seed)
    model = RandomInterceptLogit(outcome, design, hospital, threads=threads)
    seconds: list[float] = []

    def once() -> None:
        began = time.perf_counter()
        fit(model)
        seconds.append(time.perf_counter() - began)

    timed(f"RSPL with all ERRs, {n:,} stays", once, 3, n)
    return {"stays": n, "hospitals": hospitals, "seconds": min(seconds)}


def _answer(fitted: RandomInterceptResults) -> dict[str, float | None]:
    return {
        "tau2": fitted.tau2,
        "passes": len(fitted.estimate.iterations),
        "log_likelihood": None if np.isnan(fitted.llf) else fitted.llf,
        "lowest_err": float(fitted.err.min()),
        "highest_err": float(fitted.err.max()),
    }


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def measure_apart(**options: Any) -> dict[str, Any]:
    """`measure` in a new process, so that nothing but the model counts in its peak memory; its progress goes to
    stderr."""
    answer = subprocess.run(
        [sys.executable, "-m", "hrrp.model.benchmark", json.dumps(options)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


if __name__ == "__main__":
    print(
        json.dumps(
            measure(**json.loads(sys.argv[1]), progress=lambda line: print(f"{line} ...", file=sys.stderr, flush=True))
        )
    )
