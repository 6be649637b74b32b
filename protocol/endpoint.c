/* endpoint.c - see endpoint.h. */
#include "protocol/endpoint.h"

#include <stddef.h>
#include <string.h>

static const char tcp[] = "tcp://", ws[] = "ws://";

bool endpoint_is_ws(const char *endpoint)
{
    return strncmp(endpoint, ws, sizeof ws - 1) == 0;
}

const char *endpoint_place(const char *endpoint)
{
    if (strncmp(endpoint, tcp, sizeof tcp - 1) == 0)
        return endpoint + sizeof tcp - 1;
    return endpoint_is_ws(endpoint) ? endpoint + sizeof ws - 1 : NULL;
}
