"""Risk adjustment: the random-intercept logit, its results, the bootstrap, scoring with published coefficients, one hospital alone."""
