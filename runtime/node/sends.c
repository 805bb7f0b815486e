/* sends.c - lists and moves sends partition by partition. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/sends.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/node/apps.h"
#include "runtime/trigger/outbox.h"

struct listing {
    admin_send_fn row;
    void *ctx;
    bool more;
};

static bool on_letter(void *ctx, const struct outbox_letter *letter)
{
    struct listing *listing = ctx;
    listing->more = listing->row(listing->ctx, &(struct admin_send){
                                                   .ident = letter->ident,
                                                   .function = letter->function,
                                                   .entity = letter->entity,
                                                   .error = letter->error,
                                                   .due_ms = letter->due_ms,
                                                   .bytes = letter->body.size,
                                                   .attempts = letter->attempts,
                                                   .dead = letter->dead,
                                                   .damaged = letter->damaged,
                                               });
    return listing->more;
}

enum status sends_list(struct apps *apps, struct slice app, bool dead, admin_send_fn row, void *ctx,
                       struct err *err)
{
    struct listing listing = {row, ctx, true};
    uint32_t partitions = apps_partitions(apps, app);
    for (uint32_t i = 0; i < partitions && listing.more; i++)
        TRY(outbox_list(apps_outbox(apps, app, i), dead, on_letter, &listing, err));
    return STATUS_OK;
}

/* ---- moves ---- */

struct move {
    size_t waiting; /* partitions that have not answered */
    size_t count;
    struct err err; /* of the first one that failed, but for "there is none" */
    struct err missing;
    sends_on_moved_fn done;
    void *ctx;
};

static void on_part_moved(void *ctx, enum status status, size_t count, const struct err *err)
{
    struct move *move = ctx;
    move->count += count;
    if (status == STATUS_NOT_FOUND)
        move->missing = *err;
    else if (status != STATUS_OK && move->err.status == STATUS_OK)
        move->err = *err;
    if (--move->waiting > 0) return;
    const struct err *verdict = &move->err;
    if (verdict->status == STATUS_OK && move->count == 0)
        verdict = &move->missing; /* OK when all were meant */
    move->done(move->ctx, verdict->status, move->count, verdict);
    free(move);
}

void sends_move(struct apps *apps, struct slice app, struct slice ident, bool retry, sends_on_moved_fn done,
                void *ctx)
{
    struct move *move = mem_alloc(sizeof *move);
    *move = (struct move){.err = ERR_INIT, .missing = ERR_INIT, .done = done, .ctx = ctx};
    move->waiting = apps_partitions(apps, app);
    if (move->waiting == 0)
    {
        (void)err_set(&move->err, STATUS_READ_ONLY, "the state of app `%.*s` is not open",
                      SLICE_FMT(app)); /* told */
        done(ctx, move->err.status, 0, &move->err);
        free(move);
        return;
    }
    for (uint32_t i = 0, partitions = (uint32_t)move->waiting; i < partitions; i++)
        outbox_move(apps_outbox(apps, app, i), ident, retry, on_part_moved, move);
}
