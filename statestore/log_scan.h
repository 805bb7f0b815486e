/* log_scan.h - finds the end of a log after a stop: replays what is whole, tells a torn tail from damage. */
// SPDX-License-Identifier: Apache-2.0
//
// A record that is not whole ends the log. That is right when it was being written as the machine stopped: nobody was
// told of it. It is damage when somebody was: each record says up to which LSN the log was durable when it was written,
// and the caller knows what the data file and the checkpoint prove. What is proven and not there is named and refused.
#pragma once

#include "statestore/log.h"
#include "statestore/log_segment.h"

struct log_tail {
    struct log_segment *segment; /* where the next record goes */
    uint64_t offset;
    uint64_t last_lsn;
    uint64_t checksum; /* of the last record */
};

/* `segments`: struct log_segment.link, all that exist, in order, without gaps; sets their first_lsn. */
MUST_CHECK enum status log_scan(const struct log_file_config *config, struct list *segments,
                                log_entry_fn entry, void *ctx, struct log_tail *tail, struct err *err);
