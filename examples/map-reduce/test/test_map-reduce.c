/* test_map-reduce.c - pieces, messages and the join, in one process: every word counts once. */
// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stead/testkit.h>

STEAD_HANDLER(upload);
STEAD_HANDLER(map);
STEAD_HANDLER(reduce);
STEAD_HANDLER(join);
STEAD_HANDLER(result);

typedef enum stead_status handler(struct stead_ctx *ctx);

static void expect(struct stead_testkit *kit, handler *run, const char *job, const char *query,
                   const char *text, int http_status, const char *words)
{
    struct stead_testkit_request request = {.entity = job, .query = query, .body = text};
    struct stead_testkit_reply reply = stead_testkit_invoke(kit, run, &request);
    const char *said = reply.status == STEAD_OK ? reply.body : reply.failure;
    if (reply.http_status != http_status || strcmp(said, words) != 0)
        fprintf(stderr, "expected %d %s, got %d %s\n", http_status, words, reply.http_status, said);
    assert(reply.http_status == http_status && strcmp(said, words) == 0);
}

/* 5,000 lines: three pieces. */
static char *long_text(void)
{
    static const char line[] = "It's a long, LONG way.\n";
    size_t size = sizeof line - 1;
    char *text = malloc(5000 * size + 1);
    for (size_t i = 0; i < 5000; i++) memcpy(text + i * size, line, size);
    text[5000 * size] = 0;
    return text;
}

int main(void)
{
    struct stead_testkit *kit = stead_testkit_create();
    stead_testkit_function(kit, "map", stead_fn_map);
    stead_testkit_function(kit, "reduce", stead_fn_reduce);
    stead_testkit_function(kit, "join", stead_fn_join);

    expect(kit, stead_fn_upload, NULL, NULL, "a", 400, "name a job: /map-reduce/upload/NAME");
    expect(kit, stead_fn_upload, "a/b", NULL, "a", 400, "name a job: /map-reduce/upload/NAME");
    expect(kit, stead_fn_upload, "empty", NULL, "", 400, "send a text");
    expect(kit, stead_fn_result, "tea", NULL, NULL, 404, "no job tea");

    expect(kit, stead_fn_upload, "tea", NULL, "Tea for two, and two for tea!", 200,
           "tea: 29 bytes, 1 pieces, 7 words\n");
    expect(kit, stead_fn_result, "tea", NULL, NULL, 503, "0 of 8 reducers are done");
    assert(stead_testkit_run_sends(kit) == 8 + 8); /* one piece to each reducer, and each to the join */
    expect(kit, stead_fn_result, "tea", "top=3", NULL, 200,
           "7 words, 4 different ones\n2 for\n2 tea\n2 two\n");
    expect(kit, stead_fn_upload, "tea", NULL, "again", 409, "there is a job tea already");

    char *text = long_text();
    expect(kit, stead_fn_upload, "way", NULL, text, 200, "way: 115000 bytes, 4 pieces, 30000 words\n");
    free(text);
    assert(stead_testkit_run_sends(kit) == 4 * 8 + 8);
    expect(kit, stead_fn_result, "way", "top=0", NULL, 200,
           "30000 words, 5 different ones\n10000 long\n5000 a\n5000 it\n5000 s\n5000 way\n");
    assert(strcmp(stead_testkit_log(kit), "") == 0); /* nothing that was sent has failed */
    stead_testkit_destroy(kit);
    return 0;
}
