/* err.h - the words of a failure, written where it happens and wrapped on the way up: "open store: map /x: no space". */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/status.h"

enum { ERR_TEXT_MAX = 1000 };

/* Owned by the caller, usually on its stack; every function takes NULL when the words are not wanted. */
struct err {
    enum status status;
    char text[ERR_TEXT_MAX];
};

#define ERR_INIT ((struct err){.status = STATUS_OK})

/* Writes status and text; returns `status`, so that a failing place reads `return err_set(err, STATUS_X, "...")`. */
enum status err_set(struct err *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
/* Puts "what: " in front of the text; returns the status unchanged. */
enum status err_wrap(struct err *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
/* As err_set, with ": <strerror(errno_value)>" at the end. */
enum status err_errno(struct err *err, enum status status, int errno_value, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));
/* The text, or the status's own text when nobody wrote one. Valid as long as `err`. */
const char *err_text(const struct err *err);

/* Passes a failure on. Only in functions that hold nothing at that point. */
#define TRY(expression)                                   \
    do                                                    \
    {                                                     \
        enum status try_status_ = (expression);           \
        if (try_status_ != STATUS_OK) return try_status_; \
    } while (0)
