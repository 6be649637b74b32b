/*
 * cmd_export.c - a receipt as a folder that others can read: a Five Safes RO-Crate.
 *
 * Only from the receipt, which is verified first, and the codebook in the profile's cache;
 * no node is asked and nobody's rights are needed.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "node/cli/crate.h"
#include "node/cli/home.h"
#include "node/cli/receipts.h"
#include "analyses/question_words.h"
#include "protocol/files.h"

/* A folder of ours alone: nothing that lies there already is mixed with a crate. */
static enum fault check_folder(struct cx *cx, const struct args *args, const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    bool empty = true;

    if (dir == NULL && errno == ENOENT)
        return FAULT_NONE;
    if (dir == NULL)
        return usage_fail(cx, args, "--ro-crate: %s cannot be used: %s", path,
                          strerror(errno));
    while (empty && (entry = readdir(dir)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    (void)closedir(dir);
    if (!empty)
        return usage_fail(
            cx, args,
            "--ro-crate: %s is not empty; choose a folder that does not exist "
            "yet",
            path);
    return FAULT_NONE;
}

/* The one that the question names by its digest; NULL: the profile does not have it. */
static const struct codebook *find_codebook(struct cx *cx, const struct args *args,
                                            const Cohortium__Question *q)
{
    struct profile p;
    struct codebook *cb;

    if (q->codebook.len != DIGEST_BYTES ||
        profile_open(cx, args_get(args, "--profile"), &p) != FAULT_NONE ||
        cached_codebook(cx, &p, q->codebook.data, &cb) != FAULT_NONE)
        return NULL;
    return cb;
}

static enum fault write_file(struct cx *cx, const char *folder, const char *name,
                             struct bytes content)
{
    const char *path = cx_printf(cx, "%s/%s", folder, name), *slash;

    if (path == NULL)
        return FAULT_MEMORY;
    slash = strrchr(path, '/');
    const char *below = cx_printf(cx, "%.*s", (int)(slash - path), path);
    if (below == NULL)
        return FAULT_MEMORY;
    TRY(folder_make(cx, below));
    return file_write(cx, "crate's file", path, content, 0644, FILE_NEW);
}

static enum fault write_crate(struct crate *crate, const char *folder)
{
    struct bytes metadata, page;

    TRY(crate_make_files(crate));
    TRY(crate_metadata(crate, &metadata));
    TRY(crate_page(crate, &page));
    for (size_t i = 0; i < crate->n_files; i++)
        TRY(write_file(crate->cx, folder, crate->files[i].path, crate->files[i].content));
    TRY(write_file(crate->cx, folder, "ro-crate-preview.html", page));
    /* Last: a folder with it is a whole crate. */
    return write_file(crate->cx, folder, "ro-crate-metadata.json", metadata);
}

enum fault run_export(struct cli *cli, const struct args *args)
{
    struct cx *cx = cli->cx;
    const char *folder = args_get(args, "--ro-crate");
    struct crate crate = {.cx = cx};
    struct answer answer;
    struct opened o;

    TRY(args_words(cx, args, 1, 1));
    if (folder == NULL || folder[0] == '\0')
        return usage_fail(cx, args, "--ro-crate is missing: the folder to write");
    TRY(check_folder(cx, args, folder));
    TRY(receipt_open(cx, args, &o));
    crate.receipt = o.receipt;
    crate.facts = &o.facts;
    crate.words = question_words(cx, o.facts.request.body->question);
    crate.cb = find_codebook(cx, args, o.facts.request.body->question);
    if (crate.cb != NULL && crate_is_released(&crate)) {
        TRY(answer_make(cx, crate.cb, &o.facts, &answer));
        crate.answer = &answer;
    }
    crate.files[crate.n_files++] =
        (struct crate_file){.path = crate_receipt,
                            .name = "the receipt: everything that proves this answer",
                            .type = "text/plain"};
    TRY(armor(cx, receipt_line, o.packed, &crate.files[0].content));
    TRY(write_crate(&crate, folder));
    (void)fprintf(cli->out, "%s: a Five Safes RO-Crate of %s\n", folder, crate.words);
    if (crate.cb == NULL)
        (void)fputs("note: no profile here has the codebook of this question, so the page "
                    "shows no tables; the numbers are all there\n",
                    cli->err);
    return FAULT_NONE;
}
