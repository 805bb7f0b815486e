/* view.c - reads through the layers, and the merge of the three for scans. */
// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/view.h"

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"

enum { KEY_BYTES_MAX = BOUND_KEY_BYTES_MAX + 2 };

/* ---- a run ---- */

void stead__view_init(struct stead__view *view, struct stead__arena *arena, struct stead__snapshot *snapshot)
{
    *view = (struct stead__view){.arena = arena, .snapshot = snapshot};
    stead__changes_init(&view->writes, arena);
    stead__read_set_init(&view->reads, arena);
}

void stead__view_fini(struct stead__view *view)
{
    stead__read_set_fini(&view->reads);
    stead__chains_fini(&view->chains);
}

enum status stead__view_begin(struct stead__view *view, uint64_t chain_id, bool follows, bool validate,
                              struct err *err)
{
    view->validate = validate;
    view->chain = chain_id != 0 ? stead__chains_find(&view->chains, chain_id) : NULL;
    if (chain_id == 0 || view->chain) return STATUS_OK;
    if (follows)
        return err_set(err, STATUS_CONFLICT, "earlier writes of its chain are not in this worker any more");
    view->chain = stead__chains_add(&view->chains, chain_id);
    return STATUS_OK;
}

static void release_walks(struct stead__view *view);

void stead__view_end(struct stead__view *view, bool keep)
{
    if (keep && view->chain) stead__chains_merge(&view->chains, view->chain, &view->writes);
    view->chain = NULL;
    release_walks(view);
    stead__changes_clear(&view->writes);
    stead__read_set_clear(&view->reads);
}

/* ---- rows ---- */

static enum status too_much_read(struct err *err)
{
    return err_set(err, STATUS_READ_SET_TOO_LARGE,
                   "an invocation that writes can read at most %d separate rows and %d ranges",
                   BOUND_READ_SET_KEYS_MAX, BOUND_READ_SET_RANGES_MAX);
}

/* A run that only reads one snapshot needs no validation and may read any number of rows. */
static enum status check_reads(const struct stead__view *view, struct err *err)
{
    bool matter = view->validate || view->writes.count > 0;
    return matter && view->reads.overflowed ? too_much_read(err) : STATUS_OK;
}

/* From the layers below the write set. */
static enum status get_below(struct stead__view *view, struct slice key, struct slice *value, struct err *err)
{
    const struct stead__change *change = view->chain ? stead__changes_find(&view->chain->changes, key) : NULL;
    if (change)
    {
        *value = change->value;
        return change->op == WRITE_PUT ? STATUS_OK : STATUS_NOT_FOUND;
    }
    return view->snapshot ? stead__snapshot_get(view->snapshot, key, value, err) : STATUS_NOT_FOUND;
}

enum status stead__view_get(struct stead__view *view, struct slice key, struct slice *value, struct err *err)
{
    struct stead__change *own = stead__changes_find(&view->writes, key);
    if (own)
    {
        own->lent = true;
        *value = own->value;
        return own->op == WRITE_PUT ? STATUS_OK : STATUS_NOT_FOUND;
    }
    const struct stead__read *read = stead__read_set_find(&view->reads, key);
    if (read)
    {
        *value = read->value;
        return read->found ? STATUS_OK : STATUS_NOT_FOUND;
    }
    struct slice got = SLICE_EMPTY;
    enum status status = get_below(view, key, &got, err);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) return status;
    stead__read_set_add(&view->reads, key, status == STATUS_OK, got);
    TRY(check_reads(view, err));
    *value = got;
    return status;
}

static enum status change(struct stead__view *view, enum write_op op, struct slice key, struct slice value,
                          struct err *err)
{
    if (view->reads.overflowed) return too_much_read(err);
    if (stead__changes_bytes_with(&view->writes, key, value.size) > BOUND_WRITE_SET_BYTES_MAX)
        return err_set(err, STATUS_WRITE_SET_TOO_LARGE, "one invocation can write at most %llu MiB",
                       BOUND_WRITE_SET_BYTES_MAX / MIB);
    stead__changes_set(&view->writes, op, key, value);
    return STATUS_OK;
}

enum status stead__view_put(struct stead__view *view, struct slice key, struct slice value, struct err *err)
{
    if (value.size > BOUND_VALUE_BYTES_MAX)
        return err_set(err, STATUS_VALUE_TOO_LARGE, "the value has %zu bytes, at most %llu MiB are allowed",
                       value.size, BOUND_VALUE_BYTES_MAX / MIB);
    return change(view, WRITE_PUT, key, value, err);
}

enum status stead__view_delete(struct stead__view *view, struct slice key, struct err *err)
{
    return change(view, WRITE_DELETE, key, SLICE_EMPTY, err);
}

/* ---- walks ---- */

/* What one layer offers next. */
struct head {
    bool valid;
    enum write_op op;
    struct slice key;
    struct slice value;
};

struct stead__walk {
    struct stead__walk *older;
    struct stead__view *view;
    struct slice low;
    struct slice high;
    bool reverse;
    bool started;
    bool ended;
    struct stead__cursor *cursor; /* NULL: not yet, or given back */
    struct head snapshot;
    struct stead__change *chain;
    struct stead__change *own;
    size_t
        own_count; /* of the write set when `own` was found: more since then means that it may be another one */
    size_t at_size;
    uint8_t at[KEY_BYTES_MAX]; /* the last key that it passed */
};

static struct slice copy_to_arena(struct stead__arena *arena, struct slice bytes)
{
    return slice_make(stead__arena_text(arena, bytes), bytes.size);
}

struct stead__walk *stead__view_walk(struct stead__view *view, struct slice low, struct slice high,
                                     bool reverse)
{
    struct stead__walk *walk = stead__arena_alloc(view->arena, sizeof *walk);
    *walk = (struct stead__walk){.view = view,
                                 .older = view->walks,
                                 .low = copy_to_arena(view->arena, low),
                                 .high = copy_to_arena(view->arena, high),
                                 .reverse = reverse};
    view->walks = walk;
    return walk;
}

static struct slice passed(const struct stead__walk *walk)
{
    return slice_make(walk->at, walk->at_size);
}

static bool in_range(const struct stead__walk *walk, struct slice key)
{
    if (walk->reverse) return slice_compare(key, walk->low) >= 0;
    return walk->high.size == 0 || slice_compare(key, walk->high) < 0;
}

static struct stead__change *seek_change(const struct stead__changes *changes, struct slice key, bool reverse)
{
    if (!reverse) return stead__changes_seek(changes, key);
    return key.size == 0 ? changes->last : stead__changes_seek_before(changes, key);
}

static struct stead__change *step_change(const struct stead__change *change, bool reverse)
{
    return reverse ? change->before : change->next[0];
}

/* The layers' heads at the begin of the walk. */
static enum status start(struct stead__walk *walk, struct err *err)
{
    struct stead__view *view = walk->view;
    struct slice from = walk->reverse ? walk->high : walk->low;
    if (view->snapshot)
    {
        TRY(stead__cursor_take(view->snapshot, &walk->cursor, err));
        enum status status = stead__cursor_seek(walk->cursor, from, walk->reverse, &walk->snapshot.key,
                                                &walk->snapshot.value, err);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) return status;
        walk->snapshot.valid = status == STATUS_OK;
        walk->snapshot.op = WRITE_PUT;
    }
    if (view->chain) walk->chain = seek_change(&view->chain->changes, from, walk->reverse);
    walk->own = seek_change(&view->writes, from, walk->reverse);
    walk->own_count = view->writes.count;
    walk->started = true;
    return STATUS_OK;
}

/* The handler may have added writes since the last step: those ahead of the walk belong to it. */
static void follow_own_writes(struct stead__walk *walk)
{
    const struct stead__changes *writes = &walk->view->writes;
    if (walk->own_count == writes->count) return;
    walk->own_count = writes->count;
    bool moved = walk->at_size > 0;
    struct slice from = moved ? passed(walk) : walk->reverse ? walk->high : walk->low;
    walk->own = seek_change(writes, from, walk->reverse);
    if (moved && walk->own && slice_equal(walk->own->key, from))
        walk->own = step_change(walk->own, walk->reverse);
}

static struct head head_of(const struct stead__change *change)
{
    if (!change) return (struct head){.valid = false};
    return (struct head){true, change->op, change->key, change->value};
}

/* Whether `a` comes before `b` in the direction of the walk; the upper layer is asked as `a` and wins a
 * tie. */
static bool first_of(const struct stead__walk *walk, const struct head *a, const struct head *b)
{
    if (!a->valid || !b->valid) return a->valid;
    int order = slice_compare(a->key, b->key);
    return walk->reverse ? order >= 0 : order <= 0;
}

/* Moves every layer that stands on `at`. */
static enum status pass(struct stead__walk *walk, struct err *err)
{
    struct slice at = passed(walk);
    if (walk->own && slice_equal(walk->own->key, at)) walk->own = step_change(walk->own, walk->reverse);
    if (walk->chain && slice_equal(walk->chain->key, at))
        walk->chain = step_change(walk->chain, walk->reverse);
    if (walk->snapshot.valid && slice_equal(walk->snapshot.key, at))
    {
        enum status status =
            stead__cursor_step(walk->cursor, walk->reverse, &walk->snapshot.key, &walk->snapshot.value, err);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) return status;
        walk->snapshot.valid = status == STATUS_OK;
    }
    return STATUS_OK;
}

static void end(struct stead__walk *walk)
{
    walk->ended = true;
    if (walk->cursor) stead__cursor_release(walk->cursor);
    walk->cursor = NULL;
}

enum status stead__walk_next(struct stead__walk *walk, struct slice *key, struct slice *value,
                             struct err *err)
{
    if (walk->ended) return STATUS_NOT_FOUND;
    if (!walk->started)
    {
        stead__read_set_count_range(&walk->view->reads);
        TRY(check_reads(walk->view, err));
        TRY(start(walk, err));
    }
    for (;;)
    {
        follow_own_writes(walk);
        struct head best = walk->snapshot;
        struct head chain = head_of(walk->chain), own = head_of(walk->own);
        if (first_of(walk, &chain, &best)) best = chain;
        bool is_own = first_of(walk, &own, &best);
        if (is_own) best = own;
        if (!best.valid || !in_range(walk, best.key)) break;
        CHECK(best.key.size <= sizeof walk->at);
        memcpy(walk->at, best.key.data, best.key.size);
        walk->at_size = best.key.size;
        if (is_own) walk->own->lent = true;
        TRY(pass(walk, err));
        if (best.op == WRITE_DELETE) continue;
        *key = passed(walk);
        *value = best.value;
        return STATUS_OK;
    }
    end(walk);
    return STATUS_NOT_FOUND;
}

/* The least key behind `key`: itself and a zero byte, unless it is a key of full length, which nothing
 * extends. */
static struct slice behind(struct stead__arena *arena, struct slice key)
{
    uint8_t *after = stead__arena_alloc(arena, key.size + 1);
    memcpy(after, key.data, key.size);
    after[key.size] = 0;
    if (key.size < KEY_BYTES_MAX) return slice_make(after, key.size + 1);
    size_t size = key.size;
    while (after[size - 1] == 0xff) size--; /* ends at the space byte at the latest */
    after[size - 1]++;
    return slice_make(after, size);
}

/* The range that a walk covered: all of it at its end, else up to the last key that it passed. */
static void record_walk(struct stead__view *view, struct stead__walk *walk)
{
    struct slice low = walk->low, high = walk->high;
    if (!walk->ended)
    {
        if (walk->at_size == 0) return; /* it never moved */
        if (walk->reverse)
            low = passed(walk);
        else
            high = behind(view->arena, passed(walk));
    }
    stead__read_set_add_range(&view->reads, low, high);
}

static void release_walks(struct stead__view *view)
{
    for (struct stead__walk *walk = view->walks; walk; walk = walk->older)
        if (walk->cursor) stead__cursor_release(walk->cursor);
    view->walks = NULL;
}

/* ---- sets ---- */

void stead__view_encode_reads(struct stead__view *view, struct buf *out)
{
    for (struct stead__walk *walk = view->walks; walk; walk = walk->older) record_walk(view, walk);
    stead__read_set_encode(&view->reads, out);
}

void stead__view_encode_writes(struct stead__view *view, struct buf *out)
{
    stead__changes_encode(&view->writes, out);
}
