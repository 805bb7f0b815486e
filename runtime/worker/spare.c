/* spare.c - one prepared zygote. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker/spare.h"

#include "runtime/base/log.h"
#include "runtime/zygote/zygote.h"

enum { SOON_MS = 1 }; /* the reply that the last one was used for goes first */

static void on_soon(struct loop_timer *timer, void *ctx)
{
    (void)timer; /* one of its kind */
    struct spare *spare = ctx;
    struct err err = ERR_INIT;
    if (zygote_prepare(spare->loop, spare->program, &spare->zygote, &err) != STATUS_OK)
        log_warn("pool.spare", "error=\"%s\", going on without a spare zygote", err_text(&err));
}

void spare_init(struct spare *spare, struct loop *loop, const char *program, bool enabled)
{
    *spare = (struct spare){.loop = loop, .program = program, .enabled = enabled};
    loop_timer_init(&spare->soon, on_soon, spare);
}

void spare_want(struct spare *spare)
{
    if (!spare->enabled || spare->zygote || loop_timer_started(&spare->soon)) return;
    loop_timer_start(spare->loop, &spare->soon, SOON_MS, 0);
}

struct zygote *spare_take(struct spare *spare)
{
    struct zygote *zygote = spare->zygote;
    spare->zygote = NULL;
    if (!zygote || !zygote_is_dead(zygote)) return zygote;
    zygote_close(zygote);
    return NULL;
}

void spare_drop(struct spare *spare)
{
    loop_timer_stop(&spare->soon);
    zygote_close(spare_take(spare));
}
