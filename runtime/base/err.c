/* err.c - formatting and wrapping of error texts. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum status err_set(struct err *err, enum status status, const char *format, ...)
{
    if (err)
    {
        va_list args;
        va_start(args, format);
        err->status = status;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return status;
}

enum status err_wrap(struct err *err, enum status status, const char *format, ...)
{
    if (err)
    {
        char inner[ERR_TEXT_MAX];
        snprintf(inner, sizeof inner, "%s", err->text[0] ? err->text : status_text(status));
        va_list args;
        va_start(args, format);
        int used = vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        if (used >= 0 && (size_t)used < sizeof err->text)
            snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", inner);
        err->status = status;
    }
    return status;
}

enum status err_errno(struct err *err, enum status status, int errno_value, const char *format, ...)
{
    if (err)
    {
        va_list args;
        va_start(args, format);
        err->status = status;
        int used = vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        if (used >= 0 && (size_t)used < sizeof err->text)
        {
            char reason[128];
            const char *text = strerror_r(errno_value, reason, sizeof reason);
            snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", text);
        }
    }
    return status;
}

const char *err_text(const struct err *err)
{
    return err->text[0] ? err->text : status_text(err->status);
}
