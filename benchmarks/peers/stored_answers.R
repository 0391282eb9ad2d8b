# Answers of R packages on tests/model/stored/nation.csv, written beside it:  Rscript benchmarks/peers/stored_answers.R
# glmmTMB: Laplace; lme4: Laplace and 7-node adaptive quadrature, both with tight tolerances; MASS::glmmPQL: its own criterion.
# One file a fit, long: quantity, name, value (17 digits). Versions are in versions.csv.
suppressMessages({library(lme4); library(glmmTMB); library(MASS); library(nlme); library(numDeriv)})
stored <- "tests/model/stored"
d <- read.csv(file.path(stored, "nation.csv"))
d$hospital <- factor(d$hospital)
columns <- setdiff(names(d), c("hospital", "readmitted"))
fixed <- paste("readmitted ~", paste(columns, collapse = " + "))
mixed <- as.formula(paste(fixed, "+ (1 | hospital)"))

write_answer <- function(name, beta, se, u, tau2, loglik, scale) {
  xb <- as.numeric(model.matrix(as.formula(fixed), d) %*% beta)
  err <- rowsum(plogis(xb + u[as.integer(d$hospital)]), d$hospital) / rowsum(plogis(xb), d$hospital)
  out <- rbind(
    data.frame(quantity = "coefficient", name = c("national_intercept", columns), value = beta),
    data.frame(quantity = "standard_error", name = c("national_intercept", columns), value = se),
    data.frame(quantity = "effect", name = levels(d$hospital), value = u),
    data.frame(quantity = "err", name = levels(d$hospital), value = as.numeric(err)),
    data.frame(quantity = c("tau2", "log_likelihood", "scale"), name = "", value = c(tau2, loglik, scale)))
  out <- out[!is.na(out$value), ]
  out$value <- formatC(out$value, digits = 17, format = "g")
  write.csv(out, file.path(stored, paste0(name, ".csv")), row.names = FALSE, quote = FALSE)
}

tight <- glmmTMBControl(optCtrl = list(iter.max = 1e4, eval.max = 1e4, rel.tol = 1e-15, x.tol = 1e-14))
fit <- glmmTMB(mixed, d, binomial, control = tight)
write_answer("glmmTMB_laplace", fixef(fit)$cond, sqrt(diag(vcov(fit)$cond)), ranef(fit)$cond$hospital[, 1],
             VarCorr(fit)$cond$hospital[1], as.numeric(logLik(fit)), 1)

# bobyqa stops some 1e-6 short of the maximum, so Newton steps with Richardson's derivatives of lme4's own deviance finish the work.
for (nodes in c(1, 7)) {
  control <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13, optCtrl = list(maxfun = 1e6, rhobeg = 2e-3, rhoend = 1e-10))
  fit <- glmer(mixed, d, binomial, nAGQ = nodes, control = control)
  deviance_of <- update(fit, devFunOnly = TRUE)
  par <- c(getME(fit, "theta"), fixef(fit))
  for (step in 1:3) par <- par - solve(hessian(deviance_of, par), grad(deviance_of, par))
  value <- deviance_of(par)
  effect <- environment(deviance_of)$pp$b(1)
  write_answer(if (nodes == 1) "lme4_laplace" else "lme4_agq7", par[-1], sqrt(diag(2 * solve(hessian(deviance_of, par))))[-1],
               effect, par[[1]]^2, -value / 2, 1)
}

# glmmPQL stops where the squared change of the linear predictor falls below 1e-6 of its square; its loop is continued here, with the
# same linear mixed model, until nothing changes any more.
strict <- lmeControl(tolerance = 1e-14, msTol = 1e-15, maxIter = 1000, msMaxIter = 1000, niterEM = 200, opt = "nlminb",
                     msMaxEval = 5000)
fit <- glmmPQL(as.formula(fixed), random = ~ 1 | hospital, family = binomial, data = d, niter = 200, verbose = FALSE, control = strict)
work <- d
eta <- as.numeric(fitted(fit))
for (step in 1:60) {
  mu <- plogis(eta)
  work$zz <- eta + (d$readmitted - mu) / (mu * (1 - mu))
  work$invwt <- 1 / (mu * (1 - mu))
  fit <- lme(as.formula(sub("readmitted", "zz", fixed)), random = ~ 1 | hospital, data = work, method = "ML",
             weights = varFixed(~invwt), control = strict)
  change <- max(abs(fitted(fit) - eta))
  eta <- as.numeric(fitted(fit))
}
cat("glmmPQL: last change of the linear predictor", change, "\n")
write_answer("glmmPQL", fixef(fit), sqrt(diag(vcov(fit))), ranef(fit)[levels(d$hospital), 1],
             as.numeric(getVarCov(fit)), NA, fit$sigma^2)

packages <- c("lme4", "glmmTMB", "MASS", "nlme", "numDeriv")
versions <- data.frame(package = c("R", packages),
                       version = c(as.character(getRversion()), sapply(packages, function(p) as.character(packageVersion(p)))))
write.csv(versions, file.path(stored, "versions.csv"), row.names = FALSE, quote = FALSE)
