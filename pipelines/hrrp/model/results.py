"""What a fit of the hierarchical model gives, in the conventions of statsmodels' results objects.

Formulas (names as in `hrrp.model.likelihood`, all at the estimate, v the weights):

    predicted_j     sum_i v_i expit(mu + u_j + b'z_i) / sum_i v_i
    expected_j      sum_i v_i expit(mu + b'z_i) / sum_i v_i
    ERR_j           predicted_j / expected_j,   RSRR_j = ERR_j x national observed rate
    se of u_j       square root of the prediction variance, phi (D + D^2 C'A^-1 C)
    reliability_j   tau2 S / (phi + tau2 S)
    c-statistic     share of pairs of a readmitted and another stay in which the readmitted one has the higher risk,
    ties half
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtr, ndtri

from hrrp.errors import InputContractError
from hrrp.model.estimation import Estimate, Normal, observed_information, prediction_variance

if TYPE_CHECKING:
    from hrrp.model.bootstrap import BootstrapResults
    from hrrp.model.random_intercept import RandomInterceptLogit

Floats = NDArray[np.float64]

METHOD_NAMES = {
    "rspl": "restricted pseudo-likelihood",
    "laplace": "maximum likelihood (Laplace)",
    "agq": "maximum likelihood (adaptive Gauss-Hermite)",
}


class RandomInterceptResults:
    """Coefficients, between-hospital variance and every hospital's figures.

    Series of hospitals are indexed by the hospital labels in ascending order, coefficients by name
    (`national_intercept` first). Rates are fractions.
    """

    converged = True  # a fit that does not converge raises ConvergenceError

    def __init__(self, model: RandomInterceptLogit, estimate: Estimate) -> None:
        self.model = model
        self.estimate = estimate
        self.method = estimate.method
        self.nodes = estimate.nodes
        self.tau2 = estimate.tau2
        self.scale = estimate.scale
        self.nobs = model.nobs
        self.n_hospitals = len(model.hospitals)

    # Coefficients

    @cached_property
    def params(self) -> pd.Series:
        """Coefficients on the logit scale, of the columns as they came."""
        return self._named(self.model.stays.to_user @ self.estimate.coefficients)

    @cached_property
    def bse(self) -> pd.Series:
        """Standard errors of `params`."""
        return self._named(np.sqrt(np.diag(self._covariance)))

    def cov_params(self) -> pd.DataFrame:
        """Covariance of `params`.

        RSPL: phi A^-1, tau2 taken as known, as the mixed model equations give it. Laplace and AGQ: from the observed
        information of coefficients and tau2 together, which takes 2 (k + 2) passes over the stays the first time.
        """
        return pd.DataFrame(self._covariance, self.model.names, self.model.names)

    @cached_property
    def tvalues(self) -> pd.Series:
        return self.params / self.bse

    @cached_property
    def pvalues(self) -> pd.Series:
        """Two-sided, from the normal distribution."""
        return self._named(2.0 * ndtr(-np.abs(self.tvalues.to_numpy())))

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Limits of the 1 - alpha intervals, columns 0 and 1."""
        reach = ndtri(1.0 - alpha / 2.0) * self.bse
        return pd.DataFrame({0: self.params - reach, 1: self.params + reach})

    def odds_ratios(self, alpha: float = 0.05) -> pd.DataFrame:
        """exp(coefficient) with its 1 - alpha limits, without the intercept: columns odds_ratio, low, high."""
        limits = np.exp(self.conf_int(alpha))
        table = pd.DataFrame({"odds_ratio": np.exp(self.params), "low": limits[0], "high": limits[1]})
        return table.iloc[1:]

    # Variance and likelihood

    @cached_property
    def tau2_se(self) -> float:
        """Standard error of tau2; NaN on the boundary tau2 = 0 and with a free scale."""
        if self.method == "rspl" or self.tau2 == 0.0:
            return self.estimate.tau2_se
        return float(np.sqrt(self._inverse_information[-1, -1])) * self.tau2

    @property
    def llf(self) -> float:
        """Marginal log likelihood by the method's approximation; NaN for RSPL, whose criterion is no likelihood of the
        outcomes."""
        return float("nan") if self.method == "rspl" else self.estimate.sums.log_likelihood

    @cached_property
    def convergence(self) -> pd.DataFrame:
        """One row a pass: step (largest change of a logit that it suggests), tau2, log likelihood (NaN for RSPL)."""
        rows = [(i.number, i.step, i.tau2, i.log_likelihood) for i in self.estimate.iterations]
        return pd.DataFrame(rows, columns=["pass", "step", "tau2", "log_likelihood"]).set_index("pass")

    # Hospitals

    @cached_property
    def n(self) -> pd.Series:
        """Stays of each hospital."""
        return self._of_hospitals(self.model.stays.stays_of_hospital)

    @cached_property
    def readmissions(self) -> pd.Series:
        """Readmitted stays of each hospital (the sum of their weights where there are weights)."""
        return self._of_hospitals(self.estimate.sums.predicted + self.estimate.sums.R)

    @cached_property
    def hospital_effects(self) -> pd.Series:
        """u_j, relative to the national intercept."""
        return self._of_hospitals(self.estimate.sums.effect)

    @cached_property
    def hospital_effect_se(self) -> pd.Series:
        """Prediction standard errors of the effects, the coefficients' uncertainty included."""
        return self._of_hospitals(np.sqrt(prediction_variance(self.estimate)))

    @cached_property
    def predicted(self) -> pd.Series:
        return self._of_hospitals(self.estimate.sums.predicted / self._weight)

    @cached_property
    def expected(self) -> pd.Series:
        return self._of_hospitals(self.estimate.sums.expected / self._weight)

    @cached_property
    def err(self) -> pd.Series:
        """Excess readmission ratio."""
        return self._of_hospitals(self.estimate.sums.predicted / self.estimate.sums.expected)

    @cached_property
    def rsrr(self) -> pd.Series:
        """Risk-standardised readmission rate: ERR x national observed rate."""
        return self.err * self.national_rate

    @cached_property
    def reliability(self) -> pd.Series:
        """Share of one avoided readmission that reaches the predicted count."""
        part = self.estimate.t * self.estimate.sums.S
        return self._of_hospitals(part / (1.0 + part))

    @cached_property
    def national_rate(self) -> float:
        """Crude observed rate over all stays."""
        return float(self.readmissions.sum() / self._weight.sum())

    def observed_rates(self, alpha: float = 0.05) -> pd.DataFrame:
        """Each hospital's crude rate with Wilson's 1 - alpha limits: columns rate, low, high."""
        from statsmodels.stats.proportion import proportion_confint

        low, high = proportion_confint(self.readmissions, self._weight, alpha=alpha, method="wilson")
        return pd.DataFrame({"rate": self.readmissions / self._weight, "low": low, "high": high})

    def err_posterior_interval(self, low: float = 0.05, high: float = 0.95) -> pd.DataFrame:
        """Quantiles of each ERR's posterior, the coefficients taken as known and tau2 as uncertain as `tau2_se`:
        columns low, high.

        Far cheaper than `bootstrap`, which also carries the uncertainty of the coefficients. Weights are left out of
        it.
        """
        from hrrp.model.one_hospital import err_posterior

        stays = self.model.stays
        uncertainty = self.tau2_se if np.isfinite(self.tau2_se) else 0.0
        table = err_posterior(
            stays.outcome,
            stays.linear_predictor(self.estimate.coefficients),
            stays.hospital_index,
            self.n_hospitals,
            self.tau2,
            uncertainty,
        )
        return pd.DataFrame(table.err_quantiles([low, high]), self.model.hospitals, ["low", "high"])

    def hospital_table(self) -> pd.DataFrame:
        """Every hospital's figures side by side, as in result.hospital_measures."""
        return pd.DataFrame(
            {
                "eligible_discharges": self.n,
                "readmissions": self.readmissions,
                "predicted": self.predicted,
                "expected": self.expected,
                "err": self.err,
                "rsrr": self.rsrr,
                "hospital_effect": self.hospital_effects,
                "hospital_effect_se": self.hospital_effect_se,
                "reliability": self.reliability,
            }
        )

    def bootstrap(self, replicates: int = 1000, seed: int = 0, **options: Any) -> BootstrapResults:
        """Resample hospitals and refit: see `hrrp.model.bootstrap.bootstrap`."""
        from hrrp.model.bootstrap import bootstrap

        return bootstrap(self, replicates, seed, **options)

    # Stays

    def predict(
        self,
        design: ArrayLike | pd.DataFrame | None = None,
        hospital: ArrayLike | pd.Series | None = None,
        which: Literal["mean", "linear"] = "mean",
    ) -> Floats:
        """Risk of each stay, or its linear predictor.

        With `hospital` the hospital's effect is added (0 for one that the fit did not see), without it is zero.
        `design` has the columns of the fit, found by name in a DataFrame; none stands for the stays of the fit, in the
        order in which they came.
        """
        stays = self.model.stays
        if design is None:
            eta = stays.in_user_order(stays.linear_predictor(self.estimate.coefficients))
        else:
            names = self.model.names[1:]
            if isinstance(design, pd.DataFrame):
                absent = [name for name in names if name not in design.columns]
                if absent:
                    raise InputContractError(
                        f"design has no column '{absent[0]}', which the model was fitted with ({len(absent)} are "
                        f"missing). Add it."
                    )
                values = design[names].to_numpy(dtype=np.float64)
            else:
                values = np.asarray(design, dtype=np.float64)
                if values.ndim != 2 or values.shape[1] != len(names):
                    raise InputContractError(f"design has shape {values.shape}; expected (stays, {len(names)}).")
            eta = self.params.iloc[0] + values @ self.params.to_numpy()[1:]
        if hospital is not None:
            labels = np.asarray(hospital)
            if labels.shape != eta.shape:
                raise InputContractError(f"hospital has shape {labels.shape}; expected {eta.shape}, one a stay.")
            eta = eta + self.hospital_effects.reindex(labels).fillna(0.0).to_numpy()
        return eta if which == "linear" else expit(eta)

    def _risk(self, hospital_effect: bool) -> Floats:
        """Risk of each stay in sorted order."""
        stays = self.model.stays
        eta = stays.linear_predictor(self.estimate.coefficients)
        if hospital_effect:
            eta += np.repeat(self.estimate.sums.effect, stays.stays_of_hospital)
        return expit(eta)

    def c_statistic(self, hospital_effect: bool = False) -> float:
        """Discrimination between readmitted and other stays, by the risk variables alone or with the hospital
        effects."""
        from scipy.stats import rankdata

        y = self.model.stays.outcome
        ranks = rankdata(self._risk(hospital_effect))
        events = y.sum()
        return float((ranks @ y - events * (events + 1.0) / 2.0) / (events * (y.size - events)))

    def calibration(self, groups: int = 10, hospital_effect: bool = False, alpha: float = 0.05) -> pd.DataFrame:
        """Stays in `groups` equal groups of ascending risk: columns stays, predicted, observed, low, high (Wilson's
        limits)."""
        from statsmodels.stats.proportion import proportion_confint

        y, risk = self.model.stays.outcome, self._risk(hospital_effect)
        parts = np.array_split(np.argsort(risk, kind="stable"), groups)
        stays = np.array([part.size for part in parts])
        events = np.array([y[part].sum() for part in parts])
        low, high = proportion_confint(events, stays, alpha=alpha, method="wilson")
        return pd.DataFrame(
            {
                "stays": stays,
                "predicted": [float(risk[part].mean()) for part in parts],
                "observed": events / stays,
                "low": low,
                "high": high,
            },
            index=pd.RangeIndex(1, groups + 1, name="group"),
        )

    def predictive_ability(self) -> tuple[float, float]:
        """Observed rate in the tenth of stays with the lowest and with the highest risk."""
        observed = self.calibration()["observed"]
        return float(observed.iloc[0]), float(observed.iloc[-1])

    # Printing

    def summary(self, alpha: float = 0.05) -> Any:
        """A statsmodels Summary."""
        from statsmodels.iolib.summary2 import Summary

        limits = self.conf_int(alpha)
        table = pd.DataFrame(
            {
                "coef": self.params,
                "std err": self.bse,
                "z": self.tvalues,
                "P>|z|": self.pvalues,
                f"[{alpha / 2:g}": limits[0],
                f"{1 - alpha / 2:g}]": limits[1],
                "odds ratio": np.exp(self.params),
            }
        )
        facts = {
            "Model:": "Random-intercept logit",
            "Stays:": f"{self.nobs:d}",
            "Method:": METHOD_NAMES[self.method] + (f", {self.nodes} nodes" if self.method == "agq" else ""),
            "Hospitals:": f"{self.n_hospitals:d}",
            "Passes:": f"{len(self.estimate.iterations):d}",
            "Observed rate:": f"{self.national_rate:.4f}",
            "Between-hospital variance:": f"{self.tau2:.6f}",
            "its standard error:": f"{self.tau2_se:.6f}",
            "Residual scale:": f"{self.scale:.4f}",
            "Log likelihood:": f"{self.llf:.4f}",
        }
        shown = Summary()
        shown.add_title("Hierarchical model of unplanned readmission")
        shown.add_dict(facts)
        shown.add_df(table, float_format="%.4f")
        return shown

    # Inside

    @cached_property
    def _inverse_information(self) -> Floats:
        """Inverse of the observed information of (coefficients inside, log tau2)."""
        return Normal(observed_information(self.model.stays, self.estimate)).inverse()

    @cached_property
    def _covariance(self) -> Floats:
        to_user = self.model.stays.to_user
        if self.method == "rspl" or self.tau2 == 0.0:
            inside = self.scale * Normal(self.estimate.information.A).inverse()
        else:
            inside = self._inverse_information[:-1, :-1]
        return np.asarray(to_user @ inside @ to_user.T)

    @cached_property
    def _weight(self) -> NDArray[np.float64]:
        stays = self.model.stays
        if not stays.rows.weights.size:
            return stays.stays_of_hospital.astype(np.float64)
        return np.add.reduceat(stays.rows.weights, stays.rows.offsets[:-1])

    def _named(self, values: Floats) -> pd.Series:
        return pd.Series(values, self.model.names)

    def _of_hospitals(self, values: NDArray) -> pd.Series:
        return pd.Series(values, self.model.hospitals)
