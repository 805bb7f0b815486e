/* map-reduce.c - counts the words of a book: pieces in parallel, messages to reducers, a join. */
// SPDX-License-Identifier: Apache-2.0
//
//     upload/JOB  --call-->  map  --send-->  reduce, entity JOB/0 ... JOB/7  --send-->  join/JOB
//
// Every send is a part of the commit that makes it and arrives once: a crash anywhere neither loses nor doubles a word.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stead/stead.h>

enum {
    PIECE_BYTES = 32 * 1024,
    PIECES_MAX = 256, /* of one stead_call_all */
    REDUCERS = 8,
    WORD_BYTES_MAX = 100, /* longer words count as their beginning */
    JOB_BYTES_MAX = 100,
};

/* ---- words: letters of ASCII in any case, and whatever is not ASCII ---- */

static bool is_letter(unsigned char byte)
{
    return byte >= 0x80 || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

struct word {
    char text[WORD_BYTES_MAX + 1]; /* in lower case; "" is none */
    uint64_t hash;
    int64_t count;
};

static const char *word_next(const char *at, const char *end, struct word *word)
{
    size_t size = 0;
    while (at < end && !is_letter((unsigned char)*at)) at++;
    word->hash = 14695981039346656037u;
    for (; at < end && is_letter((unsigned char)*at); at++)
    {
        if (size == WORD_BYTES_MAX) continue;
        char letter = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
        word->text[size++] = letter;
        word->hash = (word->hash ^ (unsigned char)letter) * 1099511628211u;
    }
    word->text[size] = 0;
    return at;
}

/* ---- upload and map ---- */

/* The end of the piece that begins at `at`: behind whole words, unless there is none. */
static size_t piece_end(const char *text, size_t at, size_t size)
{
    if (size - at <= PIECE_BYTES) return size;
    size_t end = at + PIECE_BYTES;
    while (end > at && is_letter((unsigned char)text[end - 1])) end--;
    return end > at ? end : at + PIECE_BYTES;
}

/* What is handed to map: "JOB PIECES\n" and the text. */
static void piece_hand(struct stead_ctx *ctx, struct stead_call *call, size_t pieces, const char *text,
                       size_t size)
{
    const char *head = stead_format(ctx, "%s %zu\n", stead_entity(ctx), pieces);
    size_t head_size = strlen(head);
    char *data = stead_alloc(ctx, head_size + size);
    memcpy(data, head, head_size);
    memcpy(data + head_size, text, size);
    *call = (struct stead_call){.function = "map", .data = data, .size = head_size + size};
}

/* POST /map-reduce/upload/JOB: the text. Answers when all of it is mapped; what follows needs nobody who waits. */
STEAD_FUNCTION(upload)
{
    const char *job = stead_entity(ctx);
    struct stead_bytes text = stead_body(ctx);
    if (!*job || strlen(job) > JOB_BYTES_MAX || strpbrk(job, " \n/"))
        return stead_reject(ctx, 400, "name a job: /map-reduce/upload/NAME");
    if (stead_exists(ctx, "pieces")) return stead_reject(ctx, 409, "there is a job %s already", job);

    static size_t ends[PIECES_MAX];
    size_t pieces = 0;
    for (size_t at = 0; at < text.size; at = ends[pieces++])
    {
        if (pieces == PIECES_MAX) return stead_reject(ctx, 413, "at most %d pieces", PIECES_MAX);
        ends[pieces] = piece_end(text.data, at, text.size);
    }
    if (pieces == 0) return stead_reject(ctx, 400, "send a text");

    struct stead_call *calls = stead_alloc(ctx, pieces * sizeof *calls);
    for (size_t i = 0, at = 0; i < pieces; at = ends[i++])
        piece_hand(ctx, &calls[i], pieces, (const char *)text.data + at, ends[i] - at);
    if (stead_call_all(ctx, calls, pieces) != STEAD_OK) return STEAD_FAILED;

    long long words = 0;
    for (size_t i = 0; i < pieces; i++)
        words += strtoll(stead_format(ctx, "%.*s", STEAD_FMT(calls[i].answer.body)), NULL, 10);
    stead_put_i64(ctx, "pieces", (int64_t)pieces);
    return stead_reply(ctx, "%s: %zu bytes, %zu pieces, %lld words\n", job, text.size, pieces, words);
}

/* The words of one piece, each with its count. Sized so that it never gets full: a word has a letter and a gap. */
struct table {
    struct word *words;
    size_t capacity; /* a power of two */
};

static void table_add(struct table *table, const struct word *word)
{
    size_t at = word->hash & (table->capacity - 1);
    while (table->words[at].text[0] && strcmp(table->words[at].text, word->text) != 0)
        at = (at + 1) & (table->capacity - 1);
    if (!table->words[at].text[0]) table->words[at] = *word;
    table->words[at].count++;
}

/* Called by upload. One message for each reducer: "PIECES\n", and "WORD COUNT\n" for each of its words. */
STEAD_FUNCTION(map)
{
    const char *body = stead_body_text(ctx), *end = body + stead_body(ctx).size;
    char job[JOB_BYTES_MAX + 1];
    long pieces;
    int head;
    if (sscanf(body, "%100s %ld%n", job, &pieces, &head) != 2) return stead_reject(ctx, 400, "no piece");

    struct table table = {.capacity = 1024};
    while (table.capacity < (size_t)(end - body)) table.capacity *= 2;
    table.words = stead_alloc(ctx, table.capacity * sizeof *table.words);
    int64_t count = 0;
    struct word word = {.count = 0};
    for (const char *at = word_next(body + head, end, &word); word.text[0]; at = word_next(at, end, &word))
    {
        table_add(&table, &word);
        count++;
    }

    size_t room = (size_t)(end - body) * 4 + 100; /* " 1\n" for a word of one letter, and the head */
    char *message = stead_alloc(ctx, room);
    for (unsigned reducer = 0; reducer < REDUCERS; reducer++)
    {
        size_t size = (size_t)snprintf(message, room, "%ld\n", pieces);
        for (size_t i = 0; i < table.capacity; i++)
            if (table.words[i].text[0] && (table.words[i].hash >> 32) % REDUCERS == reducer)
                size += (size_t)snprintf(message + size, room - size, "%s %lld\n", table.words[i].text,
                                         (long long)table.words[i].count);
        stead_send(ctx, "reduce", stead_format(ctx, "%s/%u", job, reducer), message, size);
    }
    return stead_reply(ctx, "%lld", (long long)count);
}

/* ---- reduce and join ---- */

/* Sent by map, once for each piece: an entity handles one at a time, so that adding up needs no care. */
STEAD_FUNCTION(reduce)
{
    char *line = stead_format(ctx, "%s", stead_body_text(ctx)), *next;
    int64_t pieces = strtoll(line, &next, 10);
    for (line = next + 1; *line; line = next + 1)
    {
        char *blank = strchr(line, ' ');
        *blank = 0;
        stead_add(ctx, stead_format(ctx, "word/%s", line), strtoll(blank + 1, &next, 10));
    }
    if (stead_add(ctx, "pieces", 1) < pieces) return stead_reply(ctx, "more to come\n");
    const char *entity = stead_entity(ctx);
    return stead_send(ctx, "join", stead_format(ctx, "%.*s", (int)strcspn(entity, "/"), entity), "", 0);
}

/* Sent by each reducer that has got all pieces. */
STEAD_FUNCTION(join)
{
    stead_add(ctx, "reducers", 1);
    return stead_reply(ctx, "ok\n");
}

/* ---- the result ---- */

static int by_count(const void *a, const void *b)
{
    const struct word *first = a, *second = b;
    if (first->count != second->count) return first->count < second->count ? 1 : -1;
    return strcmp(first->text, second->text);
}

/* GET /map-reduce/result/JOB?top=N: the words that are used most; top=0: all of them. 503 until all reducers are done. */
STEAD_FUNCTION(result)
{
    const char *job = stead_entity(ctx);
    int64_t reducers = stead_get_i64(ctx, "reducers", 0), top = stead_query_i64(ctx, "top", 10);
    if (!*job || !(stead_exists(ctx, "pieces") || reducers)) return stead_reject(ctx, 404, "no job %s", job);
    if (reducers < REDUCERS)
        return stead_reject(ctx, 503, "%lld of %d reducers are done", (long long)reducers, REDUCERS);

    size_t count = 0, capacity = 1024;
    struct word *words = stead_alloc(ctx, capacity * sizeof *words);
    int64_t total = 0;
    struct stead_scan *scan = stead_scan_entities(ctx, stead_format(ctx, "%s/", job));
    for (struct stead_row row; stead_scan_next(scan, &row);)
    {
        if (strncmp(row.name, "word/", 5) != 0) continue;
        if (count == capacity)
        {
            struct word *more = stead_alloc(ctx, 2 * capacity * sizeof *words);
            memcpy(more, words, count * sizeof *words);
            words = more;
            capacity *= 2;
        }
        struct word *word = &words[count++];
        snprintf(word->text, sizeof word->text, "%s", row.name + 5);
        word->count = strtoll(stead_format(ctx, "%.*s", STEAD_FMT(row.value)), NULL, 10);
        total += word->count;
    }
    qsort(words, count, sizeof *words, by_count);
    stead_reply(ctx, "%lld words, %zu different ones\n", (long long)total, count);
    for (size_t i = 0; i < count && (top == 0 || i < (size_t)top); i++)
        stead_reply(ctx, "%lld %s\n", (long long)words[i].count, words[i].text);
    return STEAD_OK;
}
