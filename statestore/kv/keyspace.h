/* keyspace.h - how rows become ordered keys: space byte, entity, zero byte, row name. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

/* A partition's data file holds several spaces, told apart by the first byte of the key. Functions read and write only
 * SPACE_ROWS; the rest belongs to the runtime. docs/formats/keyspace.md has them byte by byte. */
enum space {
    SPACE_ROWS = 'r', /* r entity 00 name -> value */
    SPACE_OUTCOMES = 'i', /* i function 00 idempotency-key -> outcome record */
    SPACE_OUTCOME_AGES = 'j', /* j big-endian ms, outcome key -> empty; finds the old ones */
    SPACE_OUTBOX = 'o', /* o big-endian due ms, number -> a send that has not been done yet */
    SPACE_DEAD = 'd', /* d ... as above -> a send that was given up */
    SPACE_MESSAGES = 'q', /* q channel 00 big-endian offset -> a message of a durable channel */
    SPACE_CURSORS = 'g', /* g channel 00 [group 00 [offset]] -> heads of channels, cursors of groups */
    SPACE_DEAD_MESSAGES = 'x', /* x channel 00 group 00 offset -> a message that a group gave up */
    SPACE_METERS = 'm', /* m ... -> usage sums */
    SPACE_CATALOG = 'c', /* system store only: apps and versions */
    SPACE_STORE = 's', /* the store's own: format, last sequence number */
};

/* Row key of (entity, name); entity may be empty (app-wide), has no zero byte; name may be any bytes, also none.
 * ENTITY_INVALID, KEY_TOO_LONG. Appends to `key`. */
MUST_CHECK enum status keyspace_row(struct buf *key, struct slice entity, struct slice name, struct err *err);
/* Takes a row key apart; the slices point into `key`. False when it is not a row key. */
bool keyspace_row_split(struct slice key, struct slice *entity, struct slice *name);
/* The half-open range [low, high) of the rows of one entity whose names begin with `prefix`. Appends to both, which are
 * different buffers; always has an upper end. ENTITY_INVALID, KEY_TOO_LONG. */
MUST_CHECK enum status keyspace_row_range(struct buf *low, struct buf *high, struct slice entity,
                                          struct slice prefix, struct err *err);
/* The range of all rows of all entities whose keys begin with `entity_prefix`. Appends to both. ENTITY_INVALID. */
MUST_CHECK enum status keyspace_entity_range(struct buf *low, struct buf *high, struct slice entity_prefix,
                                             struct err *err);
/* Appends the smallest key greater than every key that begins with `prefix`; false when there is none (all 0xff). */
bool keyspace_successor(struct buf *out, struct slice prefix);

/* ---- partitions ---- */

/* The slice of an app's entities that an entity belongs to: by hash of the key, or of the part between the first `{` and
 * the next `}` when that is not empty, so that `order/{42}` and `cart/{42}` stay together. The empty entity, the app
 * itself, is in partition 0. Stable for ever: it decides where state is on disk. */
uint32_t keyspace_partition(struct slice entity, uint32_t partitions);
/* The part that is hashed. */
struct slice keyspace_hash_tag(struct slice entity);
