"""Slow, independent answers: textbook algorithms on dense matrices, without a line of the product's own model code.

RSPL follows Wolfinger and O'Connell (1993): a linear mixed model of the working response by restricted maximum
likelihood with explicit n x n matrices, repeated. Laplace and adaptive quadrature integrate each hospital's likelihood
with quadrature written out per hospital and maximise it with a general optimiser.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import expit


def dense(design, hospital):
    """X with a first column of ones, Z of one column a hospital, and the labels in ascending order."""
    labels, index = np.unique(hospital, return_inverse=True)
    X = np.column_stack([np.ones(len(index)), np.asarray(design, float)])
    return X, np.eye(labels.size)[index], labels


def rspl(y, design, hospital, *, restricted=True, free_scale=False, weights=None, iterations=60):
    """Pseudo-likelihood: beta, u, tau2, covariance of beta, prediction variances of u, scale."""
    X, Z, _ = dense(design, hospital)
    n, p = X.shape
    v = np.ones(n) if weights is None else np.asarray(weights, float)
    degrees = v.sum() - (p if restricted else 0)
    rate = np.average(y, weights=v)
    beta, u, t = np.zeros(p), np.zeros(Z.shape[1]), 0.1
    beta[0] = np.log(rate / (1 - rate))

    K = Z @ Z.T

    def linear_mixed_model(t, w, response):
        """beta, u, residual quadratic form and the derivative of minus twice the log likelihood, var(u) = t, var(e) = 1
        / w."""
        Vi = np.linalg.inv(np.diag(1 / w) + t * K)
        A = X.T @ Vi @ X
        projector = Vi - Vi @ X @ np.linalg.solve(A, X.T @ Vi)
        beta = np.linalg.solve(A, X.T @ Vi @ response)
        u = t * Z.T @ Vi @ (response - X @ beta)
        quadratic = response @ projector @ response
        falls = response @ projector @ K @ projector @ response
        trace = np.sum((projector if restricted else Vi) * K)
        # With a free scale the scale profiles out: quadratic becomes degrees x log(quadratic).
        return beta, u, quadratic, trace - falls * (degrees / quadratic if free_scale else 1.0)

    for _ in range(iterations):
        eta = X @ beta + Z @ u
        mu = expit(eta)
        w = v * mu * (1 - mu)
        response = eta + (y - mu) / (mu * (1 - mu))
        t = brentq(lambda t, w=w, r=response: linear_mixed_model(t, w, r)[3], 1e-6, 5.0, xtol=1e-14, rtol=1e-14)
        new_beta, new_u, quadratic, _ = linear_mixed_model(t, w, response)
        moved = max(np.abs(new_beta - beta).max(), np.abs(new_u - u).max())
        beta, u = new_beta, new_u
        if moved < 1e-10:
            break
    scale = quadratic / degrees if free_scale else 1.0
    mixed = np.block(
        [[X.T @ (w[:, None] * X), X.T @ (w[:, None] * Z)], [Z.T @ (w[:, None] * X), Z.T @ (w[:, None] * Z)]]
    )
    mixed[p:, p:] += np.eye(Z.shape[1]) / t
    inverse = scale * np.linalg.inv(mixed)
    return {
        "beta": beta,
        "u": u,
        "tau2": t * scale,
        "scale": scale,
        "cov": inverse[:p, :p],
        "prediction_variance": np.diag(inverse)[p:],
    }


def rspl_information_of_tau2(y, design, hospital, answer):
    """Second derivative of minus the restricted log likelihood with respect to tau2 at the last working response."""
    X, Z, _ = dense(design, hospital)
    eta = X @ answer["beta"] + Z @ answer["u"]
    mu = expit(eta)
    w = mu * (1 - mu)
    response = eta + (y - mu) / w

    def half(t):
        V = np.diag(1 / w) + t * Z @ Z.T
        Vi = np.linalg.inv(V)
        A = X.T @ Vi @ X
        r = response - X @ np.linalg.solve(A, X.T @ Vi @ response)
        return 0.5 * (r @ Vi @ r + np.linalg.slogdet(V)[1] + np.linalg.slogdet(A)[1])

    t, h = answer["tau2"], 0.01 * answer["tau2"]
    return (-half(t + 2 * h) + 16 * half(t + h) - 30 * half(t) + 16 * half(t - h) - half(t - 2 * h)) / (12 * h * h)


def log_likelihood(x, y, design, hospital, nodes, weights=None):
    """Marginal log likelihood at x = (beta, log tau2) by adaptive quadrature with `nodes` nodes (1: Laplace)."""
    X = np.column_stack([np.ones(len(y)), np.asarray(design, float)])
    v = np.ones(len(y)) if weights is None else np.asarray(weights, float)
    beta, t = x[:-1], np.exp(x[-1])
    z, a = np.polynomial.hermite.hermgauss(nodes)
    total = 0.0
    for label in np.unique(hospital):
        rows = hospital == label
        eta, yj, vj = X[rows] @ beta, y[rows], v[rows]

        def h(u, eta=eta, yj=yj, vj=vj):
            return np.sum(vj * (yj * (eta + u) - np.logaddexp(0, eta + u))) - 0.5 * u * u / t

        mode = brentq(lambda u, eta=eta, yj=yj, vj=vj: np.sum(vj * (yj - expit(eta + u))) - u / t, -40, 40, xtol=1e-14)
        p = expit(eta + mode)
        s = 1 / np.sqrt(np.sum(vj * p * (1 - p)) + 1 / t)
        terms = np.array([np.log(ak) + zk * zk + h(mode + np.sqrt(2) * s * zk) for zk, ak in zip(z, a, strict=True)])
        total += np.logaddexp.reduce(terms) + np.log(np.sqrt(2) * s) - 0.5 * np.log(2 * np.pi * t)
    return total


def maximum_likelihood(y, design, hospital, nodes, start):
    """(beta, log tau2) at the maximum, by a general optimiser without derivatives of ours."""
    answer = minimize(
        lambda x: -log_likelihood(x, y, design, hospital, nodes), start, method="BFGS", options={"gtol": 1e-6}
    )
    return answer.x, -answer.fun
