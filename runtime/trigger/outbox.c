/* outbox.c - from rows to invocations, and from their outcomes back to rows. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/trigger/outbox.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/base/map.h"
#include "runtime/invoke/invoke.h"
#include "runtime/invoke/outbox.h"
#include "runtime/router/router.h"
#include "runtime/trigger/delivery_policy.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

enum {
    IN_FLIGHT_MAX = 64, /* of one partition: enough to keep workers and disk busy */
    LOOK_AGAIN_MS = 1000, /* after a store that took nothing */
    MOVE_MAX = 1000, /* dead letters of one commit; the rest comes with the next */
    IDENT_CHARS = 2 * (OUTBOX_KEY_BYTES - 1),
};

struct outbox {
    struct outbox_config config;
    struct prng prng;
    struct outbox_stats stats;
};

struct outbox_part {
    struct outbox *outbox;
    char *app;
    struct invoke_partition *partition;
    struct store *store;
    struct map under_way; /* key -> struct delivery */
    struct loop_timer next; /* when something is due, or may be looked at again */
    struct loop_task look;
    bool busy; /* rows that can be done were there at the last look */
    uint32_t damaged; /* rows: the most that a look met, and told */
    bool stopped;
};

/* One send under way. */
struct delivery {
    struct outbox_part *part;
    struct outbox_key key;
    uint8_t key_bytes[OUTBOX_KEY_BYTES];
    char ident[1 + sizeof "send-" + IDENT_CHARS]; /* Idempotency-Key */
    struct buf value; /* of the row */
    struct outbox_row row; /* points into it */
    struct buf settle; /* write set that deletes it */
    struct wire_headers headers; /* none */
    struct store_commit commit;
    struct loop_timer again; /* when it waits without a change of its row */
};

static void look(struct outbox_part *part);

/* ---- ends ---- */

static void delivery_free(struct delivery *delivery)
{
    CHECK(map_remove(&delivery->part->under_way, slice_make(delivery->key_bytes, OUTBOX_KEY_BYTES)) ==
          delivery);
    delivery->part->outbox->stats.in_flight--;
    loop_timer_stop(&delivery->again);
    buf_fini(&delivery->value);
    buf_fini(&delivery->settle);
    free(delivery);
}

static void delivery_over(struct delivery *delivery)
{
    struct outbox_part *part = delivery->part;
    delivery_free(delivery);
    outbox_wake(part);
}

static void on_again(struct loop_timer *timer, void *ctx)
{
    delivery_over(ctx);
}

/* Its row stays as it is; nobody looks at it for a while. */
static void delivery_wait(struct delivery *delivery, uint64_t delay_ms)
{
    if (delivery->part->stopped)
        delivery_free(delivery);
    else
        loop_timer_start(delivery->part->outbox->config.loop, &delivery->again, delay_ms, 0);
}

static void on_rewritten_durable(struct store_commit *commit)
{
    delivery_over(CONTAINER_OF(commit, struct delivery, commit));
}

static void on_rewritten(struct store_commit *commit)
{
    if (commit->status == STATUS_OK) return; /* durable comes */
    delivery_wait(CONTAINER_OF(commit, struct delivery, commit), LOOK_AGAIN_MS);
}

static void commit_set(struct delivery *delivery)
{
    delivery->commit = (struct store_commit){
        .writes = {buf_view(&delivery->settle)},
        .applied = on_rewritten,
        .durable = on_rewritten_durable,
    };
    store_submit(delivery->part->store, &delivery->commit);
    store_push(delivery->part->store);
}

static void row_put(struct buf *set, uint8_t space, const struct outbox_key *key,
                    const struct outbox_row *row)
{
    struct buf bytes = BUF_INIT, value = BUF_INIT;
    outbox_key_encode(&bytes, space, key);
    outbox_row_encode(&value, row);
    write_set_append(set, &(struct write_entry){WRITE_PUT, buf_view(&bytes), buf_view(&value)});
    buf_fini(&bytes);
    buf_fini(&value);
}

static void row_delete(struct buf *set, struct slice key)
{
    write_set_append(set, &(struct write_entry){WRITE_DELETE, key, SLICE_EMPTY});
}

/* The row moves to its next attempt, or to the dead letters. */
static void reschedule(struct delivery *delivery, enum delivery_step step, uint64_t delay_ms,
                       enum status status, const char *words)
{
    struct outbox *outbox = delivery->part->outbox;
    struct slice old = slice_make(delivery->key_bytes, OUTBOX_KEY_BYTES);
    char error[512];
    int size = snprintf(error, sizeof error, "%s: %s", status_code(status), words);
    struct outbox_row row = delivery->row;
    row.attempts++;
    row.error = slice_make(error, (size_t)size < sizeof error ? (size_t)size : sizeof error - 1);
    buf_reset(&delivery->settle);
    if (step == DELIVERY_GIVE_UP)
    {
        outbox->stats.dead++;
        log_warn("outbox.dead", "app=%s function=%.*s entity=%.*s attempts=%u error=%s", delivery->part->app,
                 SLICE_FMT(row.send.name), SLICE_FMT(row.send.key), row.attempts, error);
        row_put(&delivery->settle, SPACE_DEAD, &delivery->key, &row); /* before the space of the other one */
        row_delete(&delivery->settle, old);
    }
    else
    {
        struct outbox_key key = {clock_wall_ms(outbox->config.clock) + delay_ms, delivery->key.number};
        if (key.due_ms <= delivery->key.due_ms)
            key.due_ms = delivery->key.due_ms + 1; /* the clock was set back */
        row_delete(&delivery->settle, old);
        row_put(&delivery->settle, SPACE_OUTBOX, &key, &row);
    }
    commit_set(delivery);
}

static bool is_own(const struct delivery *delivery)
{
    uint32_t index, count;
    invoke_partition_index(delivery->part->partition, &index, &count);
    return keyspace_partition(delivery->row.send.key, count) == index;
}

static void delivery_failed(struct delivery *delivery, enum status status, const char *words)
{
    struct outbox *outbox = delivery->part->outbox;
    uint64_t delay_ms = 0;
    enum delivery_step step =
        delivery_after(status, delivery->row.attempts + 1, BOUND_SEND_RETRIES_MAX, &outbox->prng, &delay_ms);
    outbox->stats.failed += step != DELIVERY_WAIT;
    if (step == DELIVERY_WAIT || delivery->part->stopped)
        delivery_wait(delivery, delay_ms);
    else
        reschedule(delivery, step, delay_ms, status, words);
}

static void on_outcome(void *ctx, const struct outcome *outcome)
{
    struct delivery *delivery = ctx;
    if (outcome->status != STATUS_OK)
    {
        delivery_failed(delivery, outcome->status, outcome->message);
        return;
    }
    delivery->part->outbox->stats.delivered++;
    if (is_own(delivery))
        delivery_over(delivery); /* its row went with the commit */
    else if (delivery->part->stopped)
        delivery_free(delivery); /* repeated, it gets the remembered outcome */
    else
        commit_set(delivery);
}

/* ---- beginnings ---- */

static enum status row_decode(struct slice key, struct slice value, struct outbox_key *decoded,
                              struct outbox_row *row, struct err *err)
{
    if (!outbox_key_decode(key, decoded))
        return err_set(err, STATUS_STORE_CORRUPT, "outbox row: its key has %zu bytes", key.size);
    return outbox_row_decode(value, row, err);
}

static void deliver(struct outbox_part *part, struct slice key, struct slice value)
{
    struct outbox *outbox = part->outbox;
    struct delivery *delivery = mem_alloc(sizeof *delivery);
    memset(delivery, 0, offsetof(struct delivery, headers));
    delivery->headers.count = 0;
    delivery->part = part;
    memcpy(delivery->key_bytes, key.data, OUTBOX_KEY_BYTES);
    loop_timer_init(&delivery->again, on_again, delivery);
    map_put(&part->under_way, key, delivery);
    outbox->stats.in_flight++;
    buf_append(&delivery->value, value);
    struct err err = ERR_INIT;
    CHECK(row_decode(key, buf_view(&delivery->value), &delivery->key, &delivery->row, NULL) ==
          STATUS_OK); /* else on_due() left it out */
    row_delete(&delivery->settle, slice_make(delivery->key_bytes, OUTBOX_KEY_BYTES));
    int ident = snprintf(delivery->ident, sizeof delivery->ident, "%csend-%016llx%016llx", INVOKE_OWN_KEY,
                         (unsigned long long)delivery->key.due_ms, (unsigned long long)delivery->key.number);
    bool own = is_own(delivery);
    struct invoke_request request = {
        .origin = WIRE_ORIGIN_SEND,
        .entity = delivery->row.send.key,
        .headers = &delivery->headers,
        .body = delivery->row.send.body,
        .has_idempotency_key = !own,
        .idempotency_key = own ? SLICE_EMPTY : slice_make(delivery->ident, (size_t)ident),
        .settle = own ? buf_view(&delivery->settle) : SLICE_EMPTY,
    };
    enum status status = router_invoke(outbox->config.router, slice_cstr(part->app), delivery->row.send.name,
                                       &request, on_outcome, delivery, &err);
    if (status != STATUS_OK) delivery_failed(delivery, status, err_text(&err));
}

/* A look at the rows that are due: keys and values are copied, since deliveries change the map of those under way. */
struct due_scan {
    struct outbox_part *part;
    uint64_t now_ms;
    uint64_t next_ms; /* when the first that is not yet due will be; 0: none */
    size_t room;
    struct buf rows; /* struct slice pairs */
    uint32_t damaged;
    struct err err; /* of the last damaged one */
};

static bool on_due(void *ctx, struct slice key, struct slice value)
{
    struct due_scan *scan = ctx;
    struct outbox_key decoded;
    struct outbox_row row;
    if (row_decode(key, value, &decoded, &row, &scan->err) != STATUS_OK)
    {
        scan->damaged++; /* it takes nobody's room */
        return true;
    }
    scan->part->busy = true;
    if (decoded.due_ms > scan->now_ms)
    {
        scan->next_ms = decoded.due_ms;
        return false;
    }
    if (map_get(&scan->part->under_way, key)) return true;
    buf_append(&scan->rows, slice_make(&key, sizeof key));
    buf_append(&scan->rows, slice_make(&value, sizeof value));
    return --scan->room > 0;
}

/* Once, not at each look. */
static void tell_damaged(struct outbox_part *part, const struct due_scan *scan)
{
    if (scan->damaged <= part->damaged) return;
    part->damaged = scan->damaged;
    log_error("outbox.row", "app=%s damaged=%u %s, left where they are: `stead sends ls %s` names them",
              part->app, scan->damaged, err_text(&scan->err), part->app);
}

static void look(struct outbox_part *part)
{
    if (part->stopped || part->under_way.count >= IN_FLIGHT_MAX) return; /* the next that ends looks again */
    struct due_scan scan = {
        .part = part,
        .now_ms = clock_wall_ms(part->outbox->config.clock),
        .room = IN_FLIGHT_MAX - part->under_way.count,
        .rows = BUF_INIT,
        .err = ERR_INIT,
    };
    const uint8_t low = SPACE_OUTBOX, high = SPACE_OUTBOX + 1;
    part->busy = false;
    struct store_snapshot *snapshot = store_snapshot_take(part->store);
    struct err err = ERR_INIT;
    enum status status = store_scan(snapshot, slice_make(&low, 1), slice_make(&high, 1), on_due, &scan, &err);
    if (status != STATUS_OK) log_error("outbox.scan", "app=%s %s", part->app, err_text(&err));
    tell_damaged(part, &scan);
    const struct slice *rows = (const struct slice *)scan.rows.data;
    for (size_t i = 0; i < scan.rows.size / sizeof *rows; i += 2) deliver(part, rows[i], rows[i + 1]);
    store_snapshot_release(part->store, snapshot);
    buf_fini(&scan.rows);
    uint64_t wait_ms = scan.next_ms > scan.now_ms ? scan.next_ms - scan.now_ms : 0;
    if (status != STATUS_OK) wait_ms = LOOK_AGAIN_MS;
    if (wait_ms) loop_timer_start(part->outbox->config.loop, &part->next, wait_ms, 0);
}

static void on_look(struct loop_task *task, void *ctx)
{
    look(ctx);
}

static void on_next(struct loop_timer *timer, void *ctx)
{
    look(ctx);
}

void outbox_wake(struct outbox_part *part)
{
    if (part->stopped) return;
    part->busy = true;
    loop_post(part->outbox->config.loop, &part->look);
}

bool outbox_busy(const struct outbox_part *part)
{
    return part->busy || part->under_way.count > 0;
}

/* ---- life ---- */

static bool on_first(void *ctx, struct slice key, struct slice value)
{
    *(bool *)ctx = true;
    return false;
}

static bool has_rows(struct outbox_part *part)
{
    bool found = false;
    const uint8_t low = SPACE_OUTBOX, high = SPACE_OUTBOX + 1;
    struct store_snapshot *snapshot = store_snapshot_take(part->store);
    enum status status =
        store_scan(snapshot, slice_make(&low, 1), slice_make(&high, 1), on_first, &found, NULL);
    store_snapshot_release(part->store, snapshot);
    return found || status != STATUS_OK; /* a look will say what is wrong */
}

struct outbox *outbox_create(const struct outbox_config *config)
{
    struct outbox *outbox = mem_zalloc(sizeof *outbox);
    outbox->config = *config;
    prng_init(&outbox->prng, config->seed);
    return outbox;
}

void outbox_destroy(struct outbox *outbox)
{
    free(outbox);
}

struct outbox_part *outbox_open(struct outbox *outbox, const char *app, struct invoke_partition *partition)
{
    struct outbox_part *part = mem_zalloc(sizeof *part);
    part->outbox = outbox;
    part->app = mem_strdup(app);
    part->partition = partition;
    part->store = invoke_partition_store(partition);
    loop_timer_init(&part->next, on_next, part);
    loop_task_init(&part->look, on_look, part);
    *invoke_partition_place(partition, PARTITION_OUTBOX) = part;
    if (has_rows(part)) outbox_wake(part);
    return part;
}

void outbox_stop(struct outbox_part *part)
{
    if (!part) return;
    part->stopped = true;
    loop_timer_stop(&part->next);
    struct map_entry entry;
    for (size_t place = 0; map_next(&part->under_way, &place, &entry);)
    {
        struct delivery *delivery = entry.value;
        if (!loop_timer_started(&delivery->again)) continue; /* the store's last callbacks end it */
        delivery_free(delivery);
        place = 0;
    }
}

void outbox_close(struct outbox_part *part)
{
    if (!part) return;
    CHECK(part->stopped && part->under_way.count == 0);
    map_fini(&part->under_way);
    free(part->app);
    free(part);
}

void outbox_stats(const struct outbox *outbox, struct outbox_stats *stats)
{
    *stats = outbox->stats;
}

/* ---- dead letters ---- */

struct letter_scan {
    outbox_letter_fn row;
    void *ctx;
    bool dead;
};

/* A row of which less is left than it takes. */
static bool damaged_letter(struct letter_scan *scan, const struct outbox_key *key, const char *ident,
                           const struct err *err)
{
    char error[sizeof err->text + 32];
    int size = snprintf(error, sizeof error, "%s: %s", status_code(err->status), err_text(err));
    return scan->row(scan->ctx, &(struct outbox_letter){
                                    .ident = ident,
                                    .due_ms = key->due_ms,
                                    .error = slice_make(error, (size_t)size),
                                    .dead = scan->dead,
                                    .damaged = true,
                                });
}

static bool on_letter(void *ctx, struct slice key, struct slice value)
{
    struct letter_scan *scan = ctx;
    struct outbox_key decoded = {0};
    struct outbox_row row;
    struct err err = ERR_INIT;
    char ident[IDENT_CHARS + 1] = "?";
    if (outbox_key_decode(key, &decoded))
        snprintf(ident, sizeof ident, "%016llx%016llx", (unsigned long long)decoded.due_ms,
                 (unsigned long long)decoded.number);
    if (row_decode(key, value, &decoded, &row, &err) != STATUS_OK)
        return damaged_letter(scan, &decoded, ident, &err);
    return scan->row(scan->ctx, &(struct outbox_letter){
                                    .ident = ident,
                                    .due_ms = decoded.due_ms,
                                    .function = row.send.name,
                                    .entity = row.send.key,
                                    .error = row.error,
                                    .body = row.send.body,
                                    .attempts = row.attempts,
                                    .dead = scan->dead,
                                });
}

enum status outbox_list(struct outbox_part *part, bool dead, outbox_letter_fn row, void *ctx, struct err *err)
{
    struct letter_scan scan = {.row = row, .ctx = ctx, .dead = dead};
    const uint8_t low = dead ? SPACE_DEAD : SPACE_OUTBOX, high = (uint8_t)(low + 1);
    struct store_snapshot *snapshot = store_snapshot_take(part->store);
    enum status status =
        store_scan(snapshot, slice_make(&low, 1), slice_make(&high, 1), on_letter, &scan, err);
    store_snapshot_release(part->store, snapshot);
    return status;
}

/* Some dead letters that go somewhere else in one commit. */
struct move {
    struct outbox_part *part;
    bool retry;
    uint64_t now_ms;
    outbox_on_moved_fn done;
    void *ctx;
    struct err err;
    size_t count;
    struct buf deletes, puts; /* write sets, each in order: the spaces are apart */
    struct store_commit commit;
    struct loop_task late;
};

static void move_end(struct move *move, enum status status)
{
    move->done(move->ctx, status, move->count, &move->err);
    buf_fini(&move->deletes);
    buf_fini(&move->puts);
    free(move);
}

static void on_moved_durable(struct store_commit *commit)
{
    struct move *move = CONTAINER_OF(commit, struct move, commit);
    move->err = commit->err;
    if (commit->status == STATUS_OK && move->retry && !move->part->stopped) outbox_wake(move->part);
    move_end(move, commit->status);
}

static void on_moved(struct store_commit *commit)
{
    if (commit->status == STATUS_OK) return; /* durable comes */
    struct move *move = CONTAINER_OF(commit, struct move, commit);
    move->err = commit->err;
    move->count = 0;
    move_end(move, commit->status);
}

static void on_late(struct loop_task *task, void *ctx)
{
    struct move *move = ctx;
    move_end(move, move->err.status);
}

static bool move_one(void *ctx, struct slice key, struct slice value)
{
    struct move *move = ctx;
    struct outbox_key decoded;
    struct outbox_row row;
    /* A damaged one can be dropped, not done; it is told when there is no other. */
    if (move->retry && row_decode(key, value, &decoded, &row, &move->err) != STATUS_OK) return true;
    row_delete(&move->deletes, key);
    if (!move->retry) return ++move->count < MOVE_MAX;
    row.attempts = 0;
    /* One number, one due time: letters that are retried together keep their order. */
    row_put(&move->puts, SPACE_OUTBOX, &decoded, &row);
    return ++move->count < MOVE_MAX;
}

static enum status parse_ident(struct slice ident, struct buf *key, struct err *err)
{
    char text[IDENT_CHARS + 1], *end;
    if (ident.size != IDENT_CHARS) goto bad;
    memcpy(text, ident.data, IDENT_CHARS);
    text[IDENT_CHARS] = 0;
    struct outbox_key decoded;
    decoded.number = strtoull(text + 16, &end, 16);
    if (*end) goto bad;
    text[16] = 0;
    decoded.due_ms = strtoull(text, &end, 16);
    if (*end) goto bad;
    outbox_key_encode(key, SPACE_DEAD, &decoded);
    return STATUS_OK;
bad:
    return err_set(err, STATUS_INVALID_ARGUMENT, "'%.*s' is no id of a dead letter: 32 hexadecimal digits",
                   SLICE_FMT(ident));
}

void outbox_move(struct outbox_part *part, struct slice ident, bool retry, outbox_on_moved_fn done, void *ctx)
{
    struct move *move = mem_zalloc(sizeof *move);
    move->part = part;
    move->retry = retry;
    move->done = done;
    move->ctx = ctx;
    loop_task_init(&move->late, on_late, move);
    struct buf low = BUF_INIT, high = BUF_INIT;
    enum status status = STATUS_OK;
    if (ident.size == 0)
        buf_append_byte(&low, SPACE_DEAD);
    else
        status = parse_ident(ident, &low, &move->err);
    if (status == STATUS_OK)
    {
        CHECK(keyspace_successor(&high, buf_view(&low)));
        struct store_snapshot *snapshot = store_snapshot_take(part->store);
        status = store_scan(snapshot, buf_view(&low), buf_view(&high), move_one, move, &move->err);
        store_snapshot_release(part->store, snapshot);
    }
    buf_fini(&low);
    buf_fini(&high);
    if (status == STATUS_OK && move->count == 0) status = move->err.status;
    if (status == STATUS_OK && move->count == 0 && ident.size > 0)
        status = err_set(&move->err, STATUS_NOT_FOUND, "app '%s' has no dead letter %.*s", part->app,
                         SLICE_FMT(ident));
    if (status != STATUS_OK || move->count == 0)
    {
        loop_post(part->outbox->config.loop, &move->late);
        return;
    }
    move->commit = (struct store_commit){
        .writes = {buf_view(&move->deletes), buf_view(&move->puts)},
        .applied = on_moved,
        .durable = on_moved_durable,
    };
    store_submit(part->store, &move->commit);
    store_push(part->store);
}
