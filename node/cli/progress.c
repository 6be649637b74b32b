/*
 * progress.c - while an answer is waited for: how far each site is, the question's id, and
 * Ctrl-C.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "node/cli/home.h"
#include "node/cli/render.h"

enum { PROGRESS_MAX = 256 * 1024, LINE_MAX_BYTES = 64 * 1024 };

/* ---- Ctrl-C ---- */

static struct hub *volatile running; /* read by the handler */
static volatile sig_atomic_t interrupted;

/* The second one ends the program as ever. */
static void on_interrupt(int number)
{
    struct hub *hub = running;

    (void)number;
    interrupted = 1;
    if (hub != NULL)
        hub_stop(hub);
}

void interrupt_watch(struct hub *hub)
{
    struct sigaction act = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};

    running = hub;
    interrupted = 0;
    (void)sigaction(SIGINT, &act, NULL);
}

void interrupt_move(struct hub *hub)
{
    running = hub;
}

bool interrupt_seen(void)
{
    return interrupted != 0;
}

void interrupt_forget(void)
{
    running = NULL;
    (void)signal(SIGINT, SIG_DFL);
}

/* ---- the lines ---- */

void progress_clear(struct home *home)
{
    if (home->progress_shown && isatty(STDERR_FILENO))
        (void)fputs("\r\033[K", home->cli->err);
    home->progress_shown = false;
}

void progress_tell_id(struct home *home)
{
    if (home->asked_id == NULL || home->id_told)
        return;
    progress_clear(home);
    (void)fprintf(home->cli->err,
                  "question %.12s; should this program or home die: cohortium collect "
                  "%.12s\n",
                  home->asked_id, home->asked_id);
    (void)fflush(home->cli->err);
    home->id_told = true;
}

/* Home lists sites by node id; people look for names. */
static void order_by_name(const struct home *home, struct cx *cx,
                          const Cohortium__Progress *p)
{
    for (size_t i = 1; i < p->n_sites; i++)
        for (size_t k = i; k > 0; k--) {
            Cohortium__SiteProgress *last = p->sites[k - 1];

            if (strcmp(member_name(cx, home->manifest, PB_BYTES(last->node_id)),
                       member_name(cx, home->manifest, PB_BYTES(p->sites[k]->node_id))) <=
                0)
                break;
            p->sites[k - 1] = p->sites[k];
            p->sites[k] = last;
        }
}

/* "summing, round 3 of at most 27: hospital_a done, hospital_b summing" */
static const char *line_of(const struct home *home, struct cx *cx,
                           const Cohortium__Progress *p)
{
    struct buffer b = buffer_new(cx, LINE_MAX_BYTES);

    buffer_text(&b, p->phase);
    if (p->done > 0)
        buffer_printf(&b, ", round %u", p->done);
    if (p->done > 0 && p->total > 0)
        buffer_printf(&b, " of at most %u", p->total);
    for (size_t i = 0; i < p->n_sites; i++)
        buffer_printf(&b, "%s%s %s", i == 0 ? ": " : ", ",
                      member_name(cx, home->manifest, PB_BYTES(p->sites[i]->node_id)),
                      p->sites[i]->phase);
    return buffer_string(&b);
}

/* On a terminal one line that changes, cut to its width; else a line whenever it differs.
 */
void progress_show(struct home *home, struct bytes body)
{
    AUTO_CX struct cx *cx = cx_new(4 * PROGRESS_MAX, CX_NO_DEADLINE);
    Cohortium__Progress *p;
    const char *line;

    if (!home->progress || cx == NULL ||
        pb_unpack(cx, &cohortium__progress__descriptor, body, PROGRESS_MAX, &p) !=
            FAULT_NONE ||
        p->n_sites > MANIFEST_MEMBERS_MAX)
        return;
    order_by_name(home, cx, p);
    if ((line = line_of(home, cx, p)) == NULL)
        return;
    if (isatty(STDERR_FILENO)) {
        size_t width = terminal_width(home->cli->err), n = strlen(line);

        progress_clear(home);
        (void)fprintf(home->cli->err, "%.*s",
                      (int)(width > 1 && n >= width ? width - 1 : n), line);
        home->progress_shown = true;
    } else if (strcmp(line, home->progress_line) != 0) {
        (void)fprintf(home->cli->err, "%s\n", line);
        (void)snprintf(home->progress_line, sizeof home->progress_line, "%s", line);
    }
    (void)fflush(home->cli->err);
}
