"""gpboost's answer, Laplace at tight tolerance, on tests/model/stored/nation.csv: tests/model/stored/gpboost_laplace.csv.

python benchmarks/peers/stored_gpboost.py          (in an environment with gpboost; the project does not depend on it)
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import gpboost
import numpy as np
import pandas as pd
from scipy.special import expit

STORED = Path(__file__).resolve().parents[2] / "tests" / "model" / "stored"


def main() -> None:
    nation = pd.read_csv(STORED / "nation.csv")
    columns = [name for name in nation.columns if name not in {"hospital", "readmitted"}]
    X = np.column_stack([np.ones(len(nation)), nation[columns].to_numpy(float)])
    hospital = nation["hospital"].to_numpy()
    model = gpboost.GPModel(group_data=hospital, likelihood="bernoulli_logit")
    model.fit(y=nation["readmitted"].to_numpy(float), X=X, params={"delta_rel_conv": 1e-14, "maxit": 20_000})
    beta = np.ravel(model.get_coef())[: X.shape[1]]
    tau2 = float(np.ravel(model.get_cov_pars())[0])
    labels, index = np.unique(hospital, return_inverse=True)
    effect = np.empty(labels.size)
    effect[index] = np.asarray(model.predict_training_data_random_effects())[:, 0]
    eta = X @ beta
    err = np.bincount(index, expit(eta + effect[index])) / np.bincount(index, expit(eta))
    rows = [("coefficient", name, value) for name, value in zip(["national_intercept", *columns], beta, strict=True)]
    rows += [("effect", str(label), value) for label, value in zip(labels, effect, strict=True)]
    rows += [("err", str(label), value) for label, value in zip(labels, err, strict=True)]
    rows += [("tau2", "", tau2), ("log_likelihood", "", -model.get_current_neg_log_likelihood())]
    answer = pd.DataFrame(rows, columns=["quantity", "name", "value"])
    answer.to_csv(STORED / "gpboost_laplace.csv", index=False, float_format="%.17g")
    print("gpboost", version("gpboost"))


if __name__ == "__main__":
    main()
