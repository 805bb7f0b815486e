/* test_chat-room.c - what is said is kept, pushed and published; who comes later gets the newest of it; wrong texts are refused. */
// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <stead/testkit.h>

STEAD_HANDLER(on_room);
STEAD_HANDLER(say);
STEAD_HANDLER(history);
STEAD_HANDLER(page);

static struct stead_testkit_reply event(struct stead_testkit *kit, const char *kind, const char *query,
                                        const char *text)
{
    struct stead_testkit_request request = {
        .entity = "lobby", .query = query, .body = text, .socket_event = kind, .connection = "c1"};
    return stead_testkit_invoke(kit, stead_fn_on_room, &request);
}

static struct stead_testkit_reply post(struct stead_testkit *kit, const char *query, const char *text)
{
    struct stead_testkit_request request = {.entity = "lobby", .query = query, .body = text};
    return stead_testkit_invoke(kit, stead_fn_say, &request);
}

static const char *get(struct stead_testkit *kit, enum stead_status (*handler)(struct stead_ctx *ctx))
{
    struct stead_testkit_request request = {.entity = "lobby", .method = "GET"};
    struct stead_testkit_reply reply = stead_testkit_invoke(kit, handler, &request);
    assert(reply.status == STEAD_OK && reply.http_status == 200);
    return reply.body;
}

static size_t times(const char *text, const char *part)
{
    size_t count = 0;
    while ((text = strstr(text, part)) != NULL) count++, text++;
    return count;
}

int main(void)
{
    struct stead_testkit *kit = stead_testkit_create();
    assert(strcmp(get(kit, stead_fn_history), "[]\n") == 0);

    /* The page holds nothing of the room or of its messages: there is nothing to escape. */
    assert(strstr(get(kit, stead_fn_page), "textContent") && !strstr(get(kit, stead_fn_page), "innerHTML"));
    assert(strcmp(stead_testkit_header(kit, "content-type"), "text/html; charset=utf-8") == 0);
    assert(strstr(stead_testkit_header(kit, "content-security-policy"), "default-src 'none'"));

    /* A message is pushed to the room, and published with the room as its key; its connection gets no reply of its own. */
    assert(event(kit, "open", "name=Ann", "").status == STEAD_OK);
    assert(strcmp(stead_testkit_left(kit), "") == 0);
    struct stead_testkit_reply reply = event(kit, "message", "name=Ann", "say \"hi\"\n\\");
    assert(reply.status == STEAD_OK && reply.body_size == 0);
    const char *said = "\"name\":\"Ann\",\"text\":\"say \\\"hi\\\"\\u000a\\\\\"}";
    assert(strstr(get(kit, stead_fn_history), said));
    assert(times(stead_testkit_left(kit), "push  lobby={\"id\":1,") == 1);
    assert(times(stead_testkit_left(kit), "publish said lobby={\"id\":1,") == 1);

    /* One more, by POST; who comes now gets both, in order. */
    assert(strncmp(post(kit, "name=%C3%84nne", "gr\xc3\xbc\xc3\x9f").body, "{\"id\":2,", 8) == 0);
    assert(event(kit, "open", "name=Bob", "").status == STEAD_OK);
    const char *first = strstr(stead_testkit_left(kit), "push c1 ={\"id\":1,");
    assert(first && strstr(first, "push c1 ={\"id\":2,"));
    assert(event(kit, "close", "name=Bob", "").status == STEAD_OK);

    /* What is refused leaves nothing. */
    char long_text[4000];
    snprintf(long_text, sizeof long_text, "%03000d", 0);
    assert(event(kit, "message", "", "who am I?").http_status == 400);
    assert(event(kit, "message", "name=Ann", "").http_status == 400);
    assert(event(kit, "message", "name=Ann", long_text).http_status == 413);
    const char *const wrong[] = {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert(post(kit, "name=Ann", wrong[i]).http_status == 400);
    assert(post(kit, "name=%FF", "hi").http_status == 400);
    assert(strcmp(stead_testkit_get(kit, "lobby", "messages"), "2") == 0);

    /* The newest 50 are shown, the newest 1000 kept. */
    for (int i = 3; i <= 1001; i++) assert(post(kit, "name=Ann", "again").status == STEAD_OK);
    const char *shown = get(kit, stead_fn_history);
    assert(times(shown, "\"id\":") == 50 && strstr(shown, "[{\"id\":952,") && strstr(shown, "{\"id\":1001,"));
    assert(!stead_testkit_get(kit, "lobby", "message/000000000001"));
    assert(stead_testkit_get(kit, "lobby", "message/000000000002"));
    stead_testkit_destroy(kit);
    return 0;
}
