/*
 * epsilon.h - rho of zero-concentrated differential privacy as epsilon at a delta: for
 * people.
 *
 * delta(rho, epsilon) = min over a > 1 of exp((a - 1)(a rho - epsilon)) / (a - 1) (1 -
 * 1/a)^a Source: Canonne, Kamath and Steinke (2020), corollary 13. Nothing is decided by
 * it.
 */
#pragma once

/* The least delta that the bound gives; rho > 0, epsilon >= 0. */
double epsilon_delta(double rho, double epsilon);
/* Rounded up by its last digits, so that it holds; 0 for a rho of 0. */
double epsilon_of(double rho, double delta);
/* rho + 2 sqrt(rho log(1/delta)): larger. */
double epsilon_simple(double rho, double delta);
/* The largest rho that gives no more than epsilon, rounded down. */
double epsilon_rho(double epsilon, double delta);
