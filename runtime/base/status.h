/* status.h - every way in which an operation can end; the list itself is in status.def. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

enum status {
#define STATUS(name, code, http, retryable, text, hint) STATUS_##name,
#include "runtime/base/status.def"
#undef STATUS
    STATUS_COUNT
};

/* Stable word for users and programs, e.g. "app_not_found". Static storage. */
const char *status_code(enum status status);
/* What happened / what to do, for people. Static storage; the hint may be empty. */
const char *status_text(enum status status);
const char *status_hint(enum status status);
/* HTTP status of the answer. */
int status_http(enum status status);
/* True when the same request may succeed later without a change. */
bool status_retryable(enum status status);
/* The status whose code is `code`; false when there is none. */
bool status_from_code(const char *code, enum status *status);

#define MUST_CHECK __attribute__((warn_unused_result))
