/* test_control.c - packets between daemon and zygote: whole, checked, with descriptors. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/zygote/control.h"

static int ends[2];

static int set_up(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends);
}

static int tear_down(void **state)
{
    (void)state;
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static bool same_file(int a, int b)
{
    struct stat first, second;
    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_ino == second.st_ino;
}

static void a_message_brings_its_fields_and_descriptors(void **state)
{
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    struct err err = ERR_INIT;
    struct control_message sent = {
        .kind = CONTROL_SPAWN, .number = 77, .code = -3, .text_size = 5, .text = "hello"};
    assert_int_equal(control_send(ends[0], &sent, pipe_ends, 2, &err), STATUS_OK);

    struct control_message got;
    int fds[CONTROL_FDS_MAX];
    assert_int_equal(control_receive(ends[1], &got, fds), CONTROL_MESSAGE);
    assert_int_equal(got.kind, CONTROL_SPAWN);
    assert_int_equal(got.number, 77);
    assert_int_equal(got.code, -3);
    assert_int_equal(got.text_size, 5);
    assert_memory_equal(got.text, "hello", 5);
    assert_true(same_file(fds[0], pipe_ends[0]) && same_file(fds[1], pipe_ends[1]));
    for (int i = 0; i < 2; i++)
    {
        close(fds[i]);
        close(pipe_ends[i]);
    }
    assert_int_equal(control_receive(ends[1], &got, fds), CONTROL_NOTHING);
}

static void expect_nonsense(const void *bytes, size_t size)
{
    assert_int_equal(send(ends[0], bytes, size, 0), size);
    struct control_message got;
    int fds[CONTROL_FDS_MAX];
    assert_int_equal(control_receive(ends[1], &got, fds), CONTROL_NONSENSE);
    for (int i = 0; i < CONTROL_FDS_MAX; i++) assert_int_equal(fds[i], -1);
}

static void what_is_no_message_is_nonsense(void **state)
{
    (void)state;
    struct control_message message = {.kind = CONTROL_LOADED};
    size_t head = offsetof(struct control_message, text);
    expect_nonsense("x", 1);
    expect_nonsense(&message, head - 1);
    expect_nonsense(&message, head + 1); /* a text that was not announced */
    message.text_size = 2;
    expect_nonsense(&message, head + 1); /* announced, but not there */
    message.text_size = UINT32_MAX;
    expect_nonsense(&message, head + 1);
    message.text_size = 0;
    message.kind = 0;
    expect_nonsense(&message, head);
    message.kind = CONTROL_EXITED + 1;
    expect_nonsense(&message, head);
    message.kind = CONTROL_FAILED;
    message.status = STATUS_COUNT;
    expect_nonsense(&message, head);
    char large[sizeof message + 1] = {0};
    expect_nonsense(large, sizeof large);
}

static size_t count_fds(void)
{
    size_t count = 0;
    struct stat file;
    for (int fd = 0; fd < 256; fd++) count += fstat(fd, &file) == 0;
    return count;
}

static void descriptors_beyond_the_limit_do_not_leak(void **state)
{
    (void)state;
    size_t before = count_fds();
    int many[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof many)];
    } beside = {0};
    struct control_message message = {.kind = CONTROL_SPAWNED};
    struct iovec part = {&message, offsetof(struct control_message, text)};
    struct msghdr packet = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = beside.bytes, .msg_controllen = sizeof beside};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&packet);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof many);
    memcpy(CMSG_DATA(rights), many, sizeof many);
    assert_true(sendmsg(ends[0], &packet, 0) > 0);
    struct control_message got;
    int fds[CONTROL_FDS_MAX];
    assert_int_equal(control_receive(ends[1], &got, fds), CONTROL_NONSENSE);
    assert_int_equal(count_fds(), before);
}

static void the_other_sides_end_is_told(void **state)
{
    (void)state;
    shutdown(ends[0], SHUT_WR);
    struct control_message got;
    int fds[CONTROL_FDS_MAX];
    assert_int_equal(control_receive(ends[1], &got, fds), CONTROL_END);
    struct err err = ERR_INIT;
    assert_int_equal(control_send(ends[0], &(struct control_message){.kind = CONTROL_SPAWN}, NULL, 0, &err),
                     STATUS_UNAVAILABLE);
}

static void a_setup_survives_the_packet(void **state)
{
    (void)state;
    struct control_function functions[] = {{"one", 1 << 20, 0}, {"two", 0, 250}};
    const char *env[] = {"A=1", "B="};
    struct control_setup sent = {
        .daemon = 4711,
        .sandbox = {.profile = SANDBOX_NETWORK,
                    .uid = 5,
                    .gid = 6,
                    .mounts = (struct sandbox_mount[]){{"/srv/a", "/a"}, {"/srv/b", "/b"}},
                    .mount_count = 2,
                    .allow = (const char *const[]){"db:5432"},
                    .allow_count = 1},
        .app = "bank",
        .artifact = "bank.so",
        .functions = functions,
        .function_count = 2,
        .env = env,
        .env_count = 2,
    };
    struct buf packet = BUF_INIT;
    struct err err = ERR_INIT;
    struct control_setup got;
    assert_int_equal(control_setup_encode(&packet, &sent, &err), STATUS_OK);
    assert_int_equal(control_setup_decode(buf_view(&packet), &got, &err), STATUS_OK);
    assert_int_equal(got.daemon, 4711);
    assert_int_equal(got.sandbox.profile, SANDBOX_NETWORK);
    assert_int_equal(got.sandbox.uid, 5);
    assert_string_equal(got.app, "bank");
    assert_string_equal(got.artifact, "bank.so");
    assert_int_equal(got.function_count, 2);
    assert_string_equal(got.functions[1].name, "two");
    assert_int_equal(got.functions[0].memory_bytes, 1 << 20);
    assert_true(got.functions[0].inside_ms == 0 && got.functions[1].inside_ms == 250);
    assert_string_equal(got.env[1], "B=");
    assert_int_equal(got.sandbox.mount_count, 2);
    assert_string_equal(got.sandbox.mounts[1].from, "/srv/b");
    assert_string_equal(got.sandbox.mounts[1].to, "/b");
    assert_int_equal(got.sandbox.allow_count, 1);
    assert_string_equal(got.sandbox.allow[0], "db:5432");
    free((void *)got.sandbox.mounts);
    free((void *)got.sandbox.allow);
    free(got.functions);
    free(got.env);
    for (size_t size = 0; size < packet.size;
         size++) /* cut off anywhere, it is refused and nothing is read beyond */
    {
        void *cut = mem_dup(slice_make(packet.data, size));
        assert_int_equal(control_setup_decode(slice_make(cut, size), &got, &err), STATUS_INTERNAL);
        free(cut);
    }
    buf_fini(&packet);
}

static void a_setup_brings_its_descriptors(void **state)
{
    (void)state;
    int pipe_ends[2], fds[CONTROL_FDS_MAX];
    assert_int_equal(pipe(pipe_ends), 0);
    struct err err = ERR_INIT;
    struct slice packet;
    assert_int_equal(control_send_setup(ends[0], SLICE("first"), pipe_ends, 2, &err), STATUS_OK);
    assert_int_equal(control_send_setup(ends[0], SLICE("second"), pipe_ends, 1, &err), STATUS_OK);
    assert_int_equal(control_receive_setup(ends[1], &packet, fds), CONTROL_MESSAGE);
    assert_int_equal(packet.size, 5);
    assert_memory_equal(packet.data, "first", 5);
    assert_true(same_file(fds[0], pipe_ends[0]) && same_file(fds[1], pipe_ends[1]));
    free((void *)packet.data);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(control_receive_setup(ends[1], &packet, fds), CONTROL_MESSAGE);
    assert_true(same_file(fds[0], pipe_ends[0]) && fds[1] == -1);
    free((void *)packet.data);
    close(fds[0]);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    shutdown(ends[0], SHUT_WR);
    assert_int_equal(control_receive_setup(ends[1], &packet, fds), CONTROL_END);
}

static void a_setup_that_does_not_fit_a_packet_is_refused(void **state)
{
    (void)state;
    char *value = malloc(CONTROL_SETUP_MAX + 1);
    memset(value, 'x', CONTROL_SETUP_MAX);
    value[CONTROL_SETUP_MAX] = 0;
    const char *env[] = {value};
    struct control_setup setup = {.app = "a", .artifact = "a", .env = env, .env_count = 1};
    struct buf packet = BUF_INIT;
    struct err err = ERR_INIT;
    assert_int_equal(control_setup_encode(&packet, &setup, &err), STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err_text(&err), "environment"));
    buf_fini(&packet);
    free(value);
}

#define CONTROL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTROL_TEST(a_message_brings_its_fields_and_descriptors),
        CONTROL_TEST(what_is_no_message_is_nonsense),
        CONTROL_TEST(descriptors_beyond_the_limit_do_not_leak),
        CONTROL_TEST(the_other_sides_end_is_told),
        CONTROL_TEST(a_setup_survives_the_packet),
        CONTROL_TEST(a_setup_brings_its_descriptors),
        CONTROL_TEST(a_setup_that_does_not_fit_a_packet_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
