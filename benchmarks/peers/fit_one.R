# One fit of a nation written by time_peers.py:  Rscript fit_one.R FOLDER PEER
# Prints wall-clock and processor seconds of the fit call (the best of three where it takes less than ten seconds; data are in memory
# before) and writes the coefficients, the effects in the order of the hospitals and tau2 to FOLDER/PEER.answer.
a <- commandArgs(TRUE); folder <- a[1]; peer <- a[2]
size <- scan(file.path(folder, "size.txt"), quiet = TRUE); n <- size[1]; hospitals <- size[2]; k <- size[3]
read <- function(name, what, count) readBin(file.path(folder, name), what, count)
X <- matrix(read("design.f64", "double", n * k), n, k); colnames(X) <- paste0("x", 1:k)
d <- data.frame(y = read("outcome.i32", "integer", n), g = factor(read("hospital.i32", "integer", n)), X); rm(X)
fixed <- paste("y ~", paste0("x", 1:k, collapse = " + ")); mixed <- as.formula(paste(fixed, "+ (1 | g)"))

fits <- list(
  lme4_0 = function() lme4::glmer(mixed, d, binomial, nAGQ = 0, control = lme4_control),
  lme4_1 = function() lme4::glmer(mixed, d, binomial, nAGQ = 1, control = lme4_control),
  glmmPQL = function() MASS::glmmPQL(as.formula(fixed), random = ~ 1 | g, family = binomial, data = d, niter = 50, verbose = FALSE),
  glmmTMB = function() glmmTMB::glmmTMB(mixed, d, binomial, se = FALSE, control = glmmTMB::glmmTMBControl(profile = TRUE, parallel = 1)))
answers <- list(
  lme4 = function(fit) c(lme4::fixef(fit), lme4::ranef(fit)$g[, 1], lme4::VarCorr(fit)$g[1]),
  glmmPQL = function(fit) c(nlme::fixef(fit), nlme::ranef(fit)[levels(d$g), 1], as.numeric(nlme::VarCorr(fit)[1, 1])),
  glmmTMB = function(fit) { full <- fit$fit$parfull  # ranef() would want standard errors
    c(full[names(full) == "beta"], full[names(full) == "b"], exp(2 * full[names(full) == "theta"])) })
package <- sub("_.*", "", peer)
suppressMessages(suppressWarnings(library(if (package == "glmmPQL") "MASS" else package, character.only = TRUE)))
if (package == "lme4") lme4_control <- glmerControl(calc.derivs = FALSE, optimizer = "bobyqa", optCtrl = list(maxfun = 20000),
                                                    check.conv.grad = "ignore", check.conv.hess = "ignore")
best <- c(Inf, Inf)
for (repetition in 1:3) {
  began <- proc.time(); fit <- fits[[peer]](); took <- proc.time() - began
  best <- pmin(best, c(took[[3]], took[[1]] + took[[2]]))
  if (took[[3]] > 10) break
}
out <- file(file.path(folder, paste0(peer, ".answer")), "wb"); writeBin(as.numeric(answers[[package]](fit)), out); close(out)
cat("FIT", best, "\n")
