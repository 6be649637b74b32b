/*
 * lab.h - a whole consortium on this machine: real nodes, made and run by the real
 * programs.
 *
 *   DIR/lab.yaml              name, nodes, endpoints
 *   DIR/NODE/                 a node's folder (node/folder.h)
 *   DIR/keys/                 governance1..3.key, NODE.key of its officer; none has a
 * passphrase DIR/papers/  manifest  permit  NODE.policy  NODE.codebook  researcher.card
 *
 *   lab_up.c      the order of things      lab_papers.c  keys, cards, manifest
 *   lab_steps.c   programs side by side    lab.c         folders, down, status
 */
#pragma once

#include "node/cli/cli.h"
#include "node/cli/profile.h"

enum { LAB_NODES_MAX = 200 };

struct lab_node {
    const char *name; /* hospital_a */
    const char *folder;
    const char *endpoint; /* tcp://127.0.0.1:PORT */
    const char *data;     /* the site's CSV, absolute */
    const char *officer;  /* key file */
};

struct lab {
    struct cx *cx;
    struct cli *cli;
    const char *name, *folder;
    const char *daemon; /* path of cohortiumd */
    size_t n;
    struct lab_node *nodes;
};

/* ---- lab.c ---- */
CHECKED enum fault lab_folder(struct cx *cx, const char *name, const char *dir,
                              const char **ret);
/* Reads lab.yaml. FAULT_MISSING when there is no lab. */
CHECKED enum fault lab_open(struct cli *cli, const char *name, const char *dir,
                            struct lab *ret);
CHECKED enum fault lab_write(struct lab *lab);
/* The node's process, by its pid file, if it runs and is a cohortiumd: a pidfd, else -1. */
int node_process(struct cx *cx, const struct lab_node *node, int *ret_pid);
/* SIGTERM to all, waits; SIGKILL for what is left after ten seconds. How many ran. */
size_t lab_stop(struct lab *lab);

/* ---- lab_steps.c ---- */
struct step {
    const char *argv[32]; /* ends with NULL */
};
/* Runs all, `at_once` side by side. The first that fails: its command and what it said on
 * standard error. */
CHECKED enum fault steps_run(struct cx *cx, const struct step *steps, size_t n,
                             size_t at_once);
/* cohortiumd beside this program. */
CHECKED enum fault find_daemon(struct cx *cx, const char **ret);
/* n free ports of 127.0.0.1; from `base` on unless it is 0. */
CHECKED enum fault find_ports(struct cx *cx, unsigned base, size_t n, unsigned *ret);

/* ---- lab_papers.c ---- */
CHECKED enum fault lab_keys(struct lab *lab);
/* After the nodes have their keys: the signed manifest in papers/manifest. */
CHECKED enum fault lab_manifest(struct lab *lab, uint8_t ret_genesis[32]);
/* The node's public keys: of its folder. */
CHECKED enum fault node_keys(struct cx *cx, const struct lab_node *node,
                             uint8_t signing[32], uint8_t noise[32]);
/* Key in the profile's folder, card in papers/researcher.card. */
CHECKED enum fault lab_researcher(struct lab *lab, const char *profile_folder);
