/* log.h - the node's own log: one line an event, `time level module.event key=value ...`, to stderr. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* `event` is a stable id ("store.open"); the rest are key=value pairs, values with blanks quoted by the caller.
 * Any thread. The layer that decides logs, once; libraries stay at debug. */
void log_write(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Lines below `level` are dropped. The sink is the only global of the code base. */
void log_level_set(enum log_level level);
bool log_level_from_name(const char *name, enum log_level *level);

#define log_debug(event, ...) log_write(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) log_write(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) log_write(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_write(LOG_ERROR, event, __VA_ARGS__)
