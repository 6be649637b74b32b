/* finding.c - see finding.h. */
#include "node/finding.h"

struct finding_list finding_list_new(struct cx *cx, size_t most)
{
    return (struct finding_list){.text = buffer_new(cx, most),
                                 .json = buffer_new(cx, most)};
}

void json_pair(struct buffer *out, const char *name, const char *text)
{
    buffer_printf(out, ",\"%s\":\"", name);
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            buffer_printf(out, "\\%c", *p);
        else if (*p < 0x20)
            buffer_printf(out, "\\u%04x", *p);
        else
            buffer_put(out, p, 1);
    }
    buffer_text(out, "\"");
}

void finding_put(struct finding_list *list, const char *check, enum finding finding,
                 const char *what, const char *remedy)
{
    static const char *const words[] = {"ok", "NOTE", "PROBLEM"};
    static const char *const states[] = {"ok", "note", "problem"};

    what = what != NULL ? what : "";
    remedy = finding != FINDING_WELL && remedy != NULL ? remedy : "";
    buffer_printf(&list->text, "%-8s %s\n", words[finding], what);
    if (remedy[0] != '\0')
        buffer_printf(&list->text, "         -> %s\n", remedy);
    buffer_printf(&list->json, "%s{\"check\":\"%s\",\"state\":\"%s\"",
                  list->n++ > 0 ? "," : "", check, states[finding]);
    json_pair(&list->json, "text", what);
    json_pair(&list->json, "remedy", remedy);
    buffer_text(&list->json, "}");
    list->problems += finding == FINDING_PROBLEM;
}
