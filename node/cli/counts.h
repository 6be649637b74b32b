/* counts.h - datasets --counts: how many patients each dataset has. */
#pragma once

#include "node/cli/home.h"

struct dataset_count {
    bool known;
    double patients; /* as the sites' rules let it be seen */
    const char *why; /* not known; in cli->cx */
};

/* A question like any other: through every site's gate and ledger, charged to the permit,
 * its receipt kept. A refusal is an answer (`why`); a fault is one of this program's. */
CHECKED enum fault dataset_count(struct cli *cli, struct home *home,
                                 const struct args *args, const char *dataset,
                                 struct dataset_count *ret);
