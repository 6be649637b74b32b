/*
 * draft.h - a first codebook for a CSV file, for people to correct.
 *
 * The draft will be shown to other institutions, so it carries as little of the rows as it
 * can: bounds are rounded outward beyond the data's extremes, levels are listed only when
 * at least DRAFT_LEVEL_ROWS rows have them, and the others are only counted.
 */
#pragma once

#include "protocol/base/bytes.h"

enum { DRAFT_LEVEL_ROWS = 10, DRAFT_LEVELS_MAX = 40, DRAFT_COLUMNS_MAX = 4096 };

/* Reads the whole file. id_column: the column of the count unit, as the file names it. The
 * text is YAML that codebook_from_yaml takes. FAULT_FORMAT (the first problem of the file,
 * or no such column, with a suggestion), FAULT_USAGE (id_column is NULL: the columns that
 * there are), FAULT_IO. In cx. */
CHECKED enum fault codebook_draft(struct cx *cx, int csv_fd, const char *dataset,
                                  const char *id_column, const char **ret_text);
