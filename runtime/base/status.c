/* status.c - lookups in the status table. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/status.h"

#include <string.h>

#include "runtime/base/check.h"

static const struct {
    const char *code;
    int http;
    bool retryable;
    const char *text;
    const char *hint;
} table[STATUS_COUNT] = {
#define STATUS(name, code, http, retryable, text, hint) {code, http, retryable, text, hint},
#include "runtime/base/status.def"
#undef STATUS
};

const char *status_code(enum status status)
{
    CHECK(status < STATUS_COUNT);
    return table[status].code;
}

const char *status_text(enum status status)
{
    CHECK(status < STATUS_COUNT);
    return table[status].text;
}

const char *status_hint(enum status status)
{
    CHECK(status < STATUS_COUNT);
    return table[status].hint;
}

int status_http(enum status status)
{
    CHECK(status < STATUS_COUNT);
    return table[status].http;
}

bool status_retryable(enum status status)
{
    CHECK(status < STATUS_COUNT);
    return table[status].retryable;
}

bool status_from_code(const char *code, enum status *status)
{
    for (int i = 0; i < STATUS_COUNT; i++)
    {
        if (strcmp(table[i].code, code) == 0)
        {
            *status = (enum status)i;
            return true;
        }
    }
    return false;
}
