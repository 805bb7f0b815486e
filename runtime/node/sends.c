/* sends.c - lists and moves sends partition by partition. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/sends.h"

#include <jansson.h>
#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/node/apps.h"
#include "runtime/trigger/outbox.h"

struct listing {
    struct buf *json;
    size_t left;
    bool first;
};

static json_t *text_of(struct slice text)
{
    json_t *json = json_stringn(text.data, text.size);
    return json ? json : json_string("(no text)");
}

static bool on_letter(void *ctx, const struct outbox_letter *letter)
{
    struct listing *listing = ctx;
    json_t *object =
        json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:b, s:o}", "id", letter->ident, "function",
                  text_of(letter->function), "entity", text_of(letter->entity), "due_ms",
                  (json_int_t)letter->due_ms, "attempts", (json_int_t)letter->attempts, "bytes",
                  (json_int_t)letter->body.size, "dead", letter->dead, "error", text_of(letter->error));
    char *text = json_dumps(object, JSON_COMPACT);
    if (!listing->first) buf_append_byte(listing->json, ',');
    listing->first = false;
    buf_append_cstr(listing->json, text);
    free(text);
    json_decref(object);
    return --listing->left > 0;
}

enum status sends_json(struct apps *apps, struct slice app, bool dead, size_t limit, struct buf *json,
                       struct err *err)
{
    struct listing listing = {json, limit, true};
    uint32_t partitions = apps_partitions(apps, app);
    for (uint32_t i = 0; i < partitions && listing.left > 0; i++)
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
