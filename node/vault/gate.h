/*
 * gate.h - the one door through which a number leaves this vault.
 *
 * struct sealed: a masked tally of a running session, or the numbers that its next measure
 * shares, boxed for each other vault.
 * struct release: numbers that the rules have let go.
 * Only gate*.c makes them; they alone may call tally_pack, mask_box and release packing
 * (tests/arch proves it from the object files).
 *
 *   R1   fewer than minimum_frequency_threshold, zero alike -> withhold
 *        a yes-or-no response outside a binomial fit     -> invalid
 *   R2   complement below minimum_complement, zero alike    -> not released
 *   R3   zero or nearly all of a sensitive variable's class -> withhold the class
 *   R4   one patient has dominance_k / dominance_n of a sum, or of a model's response, or
 *        of that in a cell of its factors                    -> veto
 *   R6   residual degrees of freedom below residual_dof_min -> not released; of a spread
 *                                                           -> withhold
 *   R7   more parameters a patient than max_parameter_ratio -> not released
 *   R9   one patient's leverage above model_max_leverage    -> veto
 *   R13  more levels than max_levels (static)               -> invalid
 *        more levels a patient than max_level_density       -> veto
 *   R17  counts                -> to a multiple of rounding_base by rounding_mode
 *   R18  ... cell_key          -> first an error that follows from their patients alone
 *   R20  fewer than min_sites, or than 3                    -> invalid
 *   R21  pooled population below minimum_population         -> not released
 *   R22  missing below the threshold, zero alike -> withhold; n is before exclusions
 *   R25  a withheld cell follows from cells and totals     -> withhold more
 *   0.1  numbers a cell of a key x rounds > patients / k    -> its sums stay zero
 *   1.3  every number withheld                              -> not released, alike
 *   0.5  blur of estimates, errors, means, spreads
 *   3.5  noise_mechanism: noise in each vault's sums before masks; then R1 judges what is
 *        noised, nothing else judges anything, and nothing is blurred
 */
#pragma once

#include "analyses/analysis.h"
#include "node/vault/engine.h"
#include "node/vault/policy.h"
#include "node/vault/zcdp.h"
#include "protocol/mask.h"

struct sealed;
struct release;
struct rounds; /* what a masked question has asked of each cell so far */
struct votes;  /* the words of one site before answers by site */

struct pool { /* what is known when the numbers are judged */
    const struct regions *regions;
    const uint64_t *sizes; /* of the regions */
    uint64_t population;
    struct rounds *rounds; /* NULL: by site, where nobody sees anything between rounds */
    const bool *taken;     /* by site: values that some site withholds, by place; or NULL */
    uint32_t multiple;     /* by site: an officer has counts rounded to this; 0: by policy */
};

/* Static rules, from question and policy alone. */
CHECKED enum fault gate_preflight(struct cx *cx, const struct policy *session,
                                  const struct asked *asked, const struct plan *plan,
                                  const struct analysis *analysis, struct complaints *c);

/* ---- noise, 3.5 (gate_noise.c) ---- */

/* What cannot be answered under noise; *ret the form that can, plan->rounds_max its rounds.
 * Without noise *ret is the analysis itself. After gate_preflight, and without complaints
 * so far. */
CHECKED enum fault gate_noise_preflight(struct cx *cx, const struct policy *session,
                                        struct asked *asked, struct plan *plan,
                                        const struct analysis *analysis,
                                        struct complaints *c,
                                        const struct analysis **ret);
/* What a question costs and what there is; rho 0 without noise. */
struct zcdp_limits gate_noise_limits(const struct policy *session);
/* How much noise this measure of a question of so many rounds needs; sets rows_max and the
 * variances of its blocks. */
CHECKED enum fault gate_noise_plan(struct cx *cx, const struct policy *session,
                                   size_t participants, unsigned rounds, struct measure *m,
                                   struct zcdp_plan **ret);
uint64_t gate_noise_rho(const struct policy *session, unsigned rounds); /* of a round */
/*
 * A copy of the own tally with this site's share; zeros: of a tally of zeros. The same
 * numbers get the same noise: a question that has to run again gives nothing new away, and
 * the same answer.
 *
 * secret    this vault's own, 32 bytes
 * ret_draw  names the noise: zcdp_draw writes it before the copy leaves
 */
CHECKED enum fault gate_noise_add(struct cx *cx, const struct zcdp_plan *plan,
                                  const struct measure *m, const uint8_t secret[32],
                                  const uint8_t question[32], uint32_t round,
                                  const struct tally *own, bool zeros,
                                  struct tally **ret, uint8_t ret_draw[32]);

/* Regions round. sizes: pooled patients of each region, then the population. *ret_objection
 * is NULL, or the reason for this site's own log (never for a peer). ret_small: NULL, or by
 * region: too few patients in it or outside of it. An optional one is no objection: its
 * cells are withheld by R1 and R25, and it is not remembered. */
CHECKED enum fault gate_regions(struct cx *cx, const struct policy *session,
                                const struct regions *regions, const uint64_t *sizes,
                                uint64_t population, bool *ret_small,
                                const char **ret_objection);

/* 0.1: what the members may see between rounds. For each new measure: ask, then withhold
 * from the own tally before it is sealed, then learn from the pooled one. Every vault comes
 * to the same. session and measures outlive it. Objection: as above. */
CHECKED enum fault gate_rounds_new(struct cx *cx, const struct policy *session,
                                   struct rounds **ret);
CHECKED enum fault gate_rounds_ask(struct cx *cx, struct rounds *r, const struct measure *m,
                                   const char **ret_objection);
/* t: NULL or the tally whose withheld sums become zero. ret_cells: NULL, or a place for
 * each cell of all blocks, set true where it is withheld. r NULL: nothing is. */
CHECKED enum fault gate_rounds_withhold(struct cx *cx, struct rounds *r,
                                        const struct measure *m, struct tally *t,
                                        bool *ret_cells);
CHECKED enum fault gate_rounds_learn(struct cx *cx, struct rounds *r,
                                     const struct measure *m, const struct tally *pooled);

/* Masks a tally for a round and boxes it. zeros: the vault objects and contributes zeros
 * from now on (same shape, same work). Consumes the round's key. */
CHECKED enum fault gate_seal(struct cx *cx, struct mask *mask, uint32_t round,
                             const uint8_t input_digest[32], struct bytes context,
                             size_t participants, size_t self, const struct tally *tally,
                             bool zeros, struct sealed **ret);
/* Home's numbers of the next measure, for the other vaults only; nothing is masked. */
CHECKED enum fault gate_seal_input(struct cx *cx, struct mask *mask, uint32_t round,
                                   struct bytes context, size_t participants, size_t self,
                                   const double *input, size_t n, struct sealed **ret);
const struct bytes *sealed_boxes(const struct sealed *s); /* participants - 1 */
const struct tally *sealed_own(const struct sealed *s);   /* masked, for our own sum */
/* A word for VERDICT and VETO rounds: 0, or random and non-zero. */
CHECKED enum fault gate_word(struct cx *cx, bool object, struct tally **ret);

/*
 * By site, 0.8: what one site withholds, no site gives, or it follows from the pooled
 * answer less the others'. Each value of a result has a place: used and missing of each
 * entry of the accounting, then the values of each item. Of a model only the former: its
 * form follows from rows, and its numbers are withheld as a whole or not at all.
 */
size_t gate_places(const struct result *r);
/* A word for the whole answer (object), then one a place: 0, or random and non-zero. */
CHECKED enum fault gate_votes(struct cx *cx, bool object, const bool *withheld, size_t n,
                              struct votes **ret);
/* As gate_seal. Words alone may go between two. */
CHECKED enum fault gate_seal_votes(struct cx *cx, struct mask *mask, uint32_t round,
                                   const uint8_t input_digest[32], struct bytes context,
                                   size_t participants, size_t self,
                                   const struct votes *votes, struct sealed **ret);

/* For each guard of a measure the sum of the same expression over `t`, in the engine's
 * order of guards. NaN: the block sums no such expression. INFINITY: the cell is withheld,
 * by R1 or by its rounds (may be NULL), so no share of it is judged. */
CHECKED enum fault gate_guard_sums(struct cx *cx, const struct policy *session,
                                   struct rounds *rounds, const struct measure *m,
                                   const struct tally *t, double **ret, size_t *ret_n);
/* The veto: what this vault holds against the result (pooled rules R1 of a model, R4, R6,
 * R7, R9, R13). A dominance guard whose pooled sum is not known is an objection, and so is
 * a model whose leverages no guard has seen.
 * pooled_guard_sums: of gate_guard_sums; NULL: none is known. */
CHECKED enum fault gate_judge(struct cx *cx, const struct policy *session,
                              const struct asked *asked, const struct plan *plan,
                              const struct result *result, const struct guard_seen *guards,
                              size_t n_guards, const double *pooled_guard_sums,
                              const char **ret_objection);

/* Applies the pooled rules and the blur. result NULL: NOT_RELEASED with this reference.
 * pool: NULL where nothing is known but the result. */
CHECKED enum fault
gate_release(struct cx *cx, const struct policy *session, const struct asked *asked,
             const uint8_t question_digest[32], const struct bytes *participants,
             const struct bytes *versions, size_t n, const struct result *result,
             const struct pool *pool, const uint8_t reference[8], struct release **ret);
/* May we sign what home proposes? Equal, or each number the neighbouring rounding where our
 * unrounded value lies within 1e-6 of a step from the tie (testing: within 1e-9).
 * FAULT_CONFLICT names the item, never a value. Replaces *own by the proposal's body. */
CHECKED enum fault gate_adopt(struct cx *cx, struct release *own, struct bytes proposed);
struct bytes release_body(const struct release *r); /* packed Release */
/* Released, and no number withheld but how many fell out (R22). */
bool release_is_whole(const struct release *r);
/* By place of its result, what is withheld. NULL: not released, or a model that lacks one
 * of its own numbers. */
const bool *release_places(const struct release *r);
/* A short sentence for the log: what was withheld by which rule. */
const char *release_details(const struct release *r);
