/* data.c - codebooks and data: checked here, published by the vault. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/admin/import_child.h"
#include "node/admin/options.h"
#include "node/data/codebook_yaml.h"
#include "node/data/draft.h"
#include "protocol/envelope.h"
#include "protocol/files.h"

/* ---- codebooks ---- */

static enum fault compile(struct invocation *in, const char *path,
                          Cohortium__Codebook **ret)
{
    struct bytes text;

    TRY(read_document(in, path, &text));
    TRY(codebook_from_yaml(in->cx, path, (const char *)text.p, text.n, ret));
    if (codebook_check(in->cx, *ret) != FAULT_NONE)
        return cx_prefix(in->cx, "%s: ", path);
    return FAULT_NONE;
}

enum fault admin_codebook_draft(struct invocation *in)
{
    const char *name, *text;

    TRY(need_words(in, 1, 1, "a CSV file"));
    TRY(need_option(in, "name", "DATASET", &name));
    int fd = open(in->words[0], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cx_fail(in->cx, FAULT_IO, "%s: %s", in->words[0], strerror(errno));
    enum fault fault = codebook_draft(in->cx, fd, name, option(in, "id"), &text);
    (void)close(fd);
    TRY(fault);
    if (option(in, "out") == NULL) {
        (void)fputs(text, stdout);
        return FAULT_NONE;
    }
    TRY(write_document(in, bytes_of(text, strlen(text))));
    (void)printf(
        "%s is a draft: read every line, decide the roles, fill in what says so\nnext: "
        "cohortiumd codebook check %s\n",
        option(in, "out"), option(in, "out"));
    return FAULT_NONE;
}

enum fault admin_codebook_check(struct invocation *in)
{
    Cohortium__Codebook *body;
    struct codebook *cb;
    size_t quasi = 0, hidden = 0;

    TRY(need_words(in, 1, 1, "a codebook file"));
    TRY(compile(in, in->words[0], &body));
    TRY(codebook_from_body(in->cx, body, &cb));
    for (size_t i = 0; i < body->n_variables; i++) {
        quasi += variable_is_quasi(body->variables[i]);
        hidden += !variable_is_usable(body->variables[i]);
    }
    (void)printf(
        "%s is valid: %s, %zu variables, %zu of them quasi-identifiers, %zu never shown\n"
        "digest %s\n",
        in->words[0], body->name, body->n_variables, quasi, hidden,
        bytes_hex(in->cx, cb->digest, sizeof cb->digest));
    return FAULT_NONE;
}

enum fault admin_codebook_sign(struct invocation *in)
{
    AUTO_KEYS struct keys *keys = NULL;
    Cohortium__Codebook *body;
    const char *key, *out;
    struct bytes packed;

    TRY(need_words(in, 1, 1, "a codebook file"));
    TRY(need_option(in, "key", "KEY", &key));
    TRY(need_option(in, "out", "FILE", &out));
    TRY(compile(in, in->words[0], &body));
    TRY(read_signing_key(in, key, "officer", &keys));
    TRY(envelope_seal(in->cx, ENVELOPE_CODEBOOK, &body->base, keys, &packed));
    TRY(write_document(in, packed));
    (void)printf(
        "codebook of %s is signed by %s\nnext: cohortiumd codebook add --dir FOLDER %s\n",
        body->name, keys_name(keys), out);
    return FAULT_NONE;
}

enum fault admin_codebook_add(struct invocation *in)
{
    struct envelope e;
    struct bytes packed;

    TRY(need_words(in, 1, 1, "a signed codebook"));
    TRY(read_document(in, in->words[0], &packed));
    TRY(document_check(in->cx, ENVELOPE_CODEBOOK, packed, in->words[0], "signed codebook",
                       "codebook sign", &e));
    return ask_node(in, "codebook add", NULL, 0, &packed, 1, NULL);
}

enum fault admin_codebook_show(struct invocation *in)
{
    struct admin_reply reply;
    struct codebook *cb;
    const char *text;

    TRY(need_words(in, 1, 1, "a dataset's name"));
    TRY(ask_node(in, "codebook show", in->words, 1, NULL, 0, &reply));
    if (reply.n_blobs != 1)
        return cx_fail(in->cx, FAULT_INTERNAL, "the node sent no codebook");
    TRY(codebook_open(in->cx, reply.blobs[0], &cb));
    if (cb->body->text[0] != '\0') {
        (void)fputs(cb->body->text, stdout);
        return FAULT_NONE;
    }
    TRY(codebook_to_yaml(in->cx, cb->body, &text));
    (void)fputs(text, stdout);
    return FAULT_NONE;
}

/* ---- data ---- */

enum { IDENTIFIERS_MAX = 16 * 1024 * 1024 };

/* What an import left in its staging folder, when it did not end well. */
static void remove_staging(const char *path)
{
    DIR *d = opendir(path);

    if (d == NULL)
        return;
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)unlinkat(dirfd(d), e->d_name, 0);
    (void)closedir(d);
    (void)rmdir(path);
}

static enum fault import_file(struct invocation *in, int csv_fd)
{
    const char *name = in->words[0], *mapping = option(in, "mapping");
    struct import_job job = {.csv_fd = csv_fd,
                             .mapping_name = mapping != NULL ? mapping : "",
                             .quiet = has_option(in, "quiet")};
    struct import_outcome outcome = {0};
    struct admin_reply begun;

    if (mapping != NULL)
        TRY(read_document(in, mapping, &job.mapping));
    TRY(ask_node(in, "data begin", &name, 1, NULL, 0, &begun));
    if (begun.n_blobs != 2 || begun.blobs[1].n != KEY_BYTES)
        return cx_fail(in->cx, FAULT_INTERNAL, "the node did not begin the import");
    job.codebook = begun.blobs[0];
    job.key = begun.blobs[1].p;
    job.staging = cx_printf(in->cx, "%s/data/%s", in->folder, begun.text);
    enum fault fault =
        job.staging != NULL ? import_child_run(in->cx, &job, &outcome) : FAULT_MEMORY;
    sodium_memzero((void *)begun.blobs[1].p, begun.blobs[1].n);
    if (fault == FAULT_NONE && !outcome.done)
        fault =
            cx_fail(in->cx, FAULT_FORMAT,
                    "correct the file, the mapping or the codebook and import it again; "
                    "what answered before still does");
    if (fault != FAULT_NONE) {
        if (cx_fault(in->cx) == FAULT_FORMAT && outcome.text != NULL)
            (void)fputs(outcome.text, stderr);
        remove_staging(job.staging);
        return fault;
    }
    (void)fputs(outcome.text, stdout);
    const char *words[] = {begun.text, name,
                           cx_printf(in->cx, "%llu", (unsigned long long)outcome.rows),
                           cx_printf(in->cx, "%llu", (unsigned long long)outcome.patients)};
    fault = ask_node(in, "data publish", words, COUNT(words), NULL, 0, NULL);
    if (fault != FAULT_NONE)
        remove_staging(job.staging);
    return fault;
}

enum fault admin_data_import(struct invocation *in)
{
    TRY(need_words(in, 2, 2, "a dataset's name and a CSV file"));
    int fd = open(in->words[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cx_fail(in->cx, FAULT_IO, "%s: %s", in->words[1], strerror(errno));
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        (void)close(fd);
        return cx_fail(in->cx, FAULT_IO, "%s is a folder; a CSV file was expected",
                       in->words[1]);
    }
    enum fault fault = import_file(in, fd);
    (void)close(fd);
    return fault;
}

enum fault admin_data_list(struct invocation *in)
{
    TRY(need_words(in, 0, 0, "no further word"));
    return ask_node(in, "data list", NULL, 0, NULL, 0, NULL);
}

/* Identifiers are not words of the command: a shell remembers those. */
enum fault admin_data_withdraw(struct invocation *in)
{
    struct bytes identifiers;
    const char *reason;

    TRY(need_words(in, 2, 2, "a dataset's name and a file of identifiers, or -"));
    TRY(need_option(in, "reason", "TEXT", &reason));
    if (strcmp(in->words[1], "-") == 0)
        TRY(file_read_stream(in->cx, "standard input", STDIN_FILENO, IDENTIFIERS_MAX,
                             &identifiers));
    else
        TRY(read_document(in, in->words[1], &identifiers));
    const char *words[] = {in->words[0], reason};
    enum fault fault = ask_node(in, "data withdraw", words, 2, &identifiers, 1, NULL);
    sodium_memzero((void *)identifiers.p, identifiers.n);
    return fault;
}

enum fault admin_data_drop(struct invocation *in)
{
    const char *reason;

    TRY(need_words(in, 1, 1, "a dataset's name"));
    TRY(need_option(in, "reason", "TEXT", &reason));
    const char *words[] = {in->words[0], reason};
    return ask_node(in, "data drop", words, 2, NULL, 0, NULL);
}

enum fault admin_ledger_part(struct invocation *in)
{
    const char *reason;

    TRY(need_words(in, 1, 1, "a dataset's name"));
    TRY(need_option(in, "reason", "TEXT", &reason));
    const char *words[] = {in->words[0], reason};
    return ask_node(in, "ledger part", words, 2, NULL, 0, NULL);
}
