/*
 * tails.h - tail areas and quantiles as R gives them (libRmath).
 *
 * For the researcher's side only: nothing that vaults must agree on may come from here.
 */
#pragma once

/* Two-sided p of a normal or t statistic (df infinite: normal). */
double tail_two_sided(double statistic, double df);
/* Upper tails. */
double tail_normal(double z);
double tail_t(double t, double df);
double tail_chisq(double x, double df);
double tail_f(double f, double df1, double df2);
/* Quantiles of a lower probability. */
double quantile_normal(double p);
double quantile_t(double p, double df);
double quantile_chisq(double p, double df);
/* The factor of a two-sided interval: quantile of 1 - (1 - level)/2. */
double quantile_interval(double level, double df);
