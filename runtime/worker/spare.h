/* spare.h - the zygote that is kept ready for whichever app is called next: made in advance, replaced when it is used. */
// SPDX-License-Identifier: Apache-2.0
//
// Namespaces and a root cost most of a zygote's start and are the same for most apps. A spare one has them; it becomes
// the zygote of an app by being told which. There is one: a burst of cold apps finds it once, the others start as ever.
// Loop thread only; no callbacks.
#pragma once

#include <stdbool.h>

#include "runtime/loop/loop.h"

struct zygote;

struct spare {
    struct loop *loop;
    const char *program; /* borrowed */
    bool enabled;
    struct zygote *zygote; /* NULL: none */
    struct loop_timer soon;
};

void spare_init(struct spare *spare, struct loop *loop, const char *program, bool enabled);
/* There should be one soon, when what is being done now is done. */
void spare_want(struct spare *spare);
/* The owner's from now on; NULL when there is none. */
struct zygote *spare_take(struct spare *spare);
/* Gives its memory back; it comes again when it is wanted. */
void spare_drop(struct spare *spare);
