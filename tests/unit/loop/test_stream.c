/* test_stream.c - sockets as streams: listeners, their errors and modes, large writes, ends, breaks. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/loop/loop.h"
#include "runtime/loop/stream.h"

struct fixture {
    struct loop *loop;
    char dir[64];
    char path[96]; /* of a unix socket in `dir` */
    struct stream *accepted;
    char room[65536];
    struct buf received;
    bool ended;
    enum status end_status;
    bool written;
    enum status write_status;
    bool closed;
};

static void on_room(void *ctx, void **data, size_t *size)
{
    struct fixture *fx = ctx;
    *data = fx->room;
    *size = sizeof fx->room;
}

static void on_bytes(void *ctx, size_t count)
{
    struct fixture *fx = ctx;
    buf_append(&fx->received, slice_make(fx->room, count));
}

static void on_end(void *ctx, enum status status)
{
    struct fixture *fx = ctx;
    fx->ended = true;
    fx->end_status = status;
}

static void on_written(void *ctx, enum status status)
{
    struct fixture *fx = ctx;
    fx->written = true;
    fx->write_status = status;
}

static void on_closed(void *ctx)
{
    ((struct fixture *)ctx)->closed = true;
}

static const struct stream_handler handler = {on_room, on_bytes, on_end, on_written, on_closed};

static void on_accept(void *ctx, struct stream *stream)
{
    struct fixture *fx = ctx;
    assert_null(fx->accepted);
    fx->accepted = stream;
    stream_attach(stream, &handler, fx);
    stream_read_start(stream);
}

static int setup(void **state)
{
    struct fixture *fx = test_calloc(1, sizeof *fx);
    const char *base = getenv("TMPDIR");
    snprintf(fx->dir, sizeof fx->dir, "%s/stead-stream.XXXXXX", base && strlen(base) < 30 ? base : "/tmp");
    assert_non_null(mkdtemp(fx->dir));
    snprintf(fx->path, sizeof fx->path, "%s/a.sock", fx->dir);
    assert_int_equal(loop_create(&fx->loop, clock_real(), NULL), STATUS_OK);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fx = *state;
    if (fx->accepted)
    {
        stream_close(fx->accepted);
        while (!fx->closed) loop_turn(fx->loop, true);
    }
    loop_destroy(fx->loop);
    buf_fini(&fx->received);
    unlink(fx->path);
    assert_int_equal(rmdir(fx->dir), 0);
    test_free(fx);
    return 0;
}

static struct stream_listener *listen_tcp(struct fixture *fx)
{
    struct stream_listener *listener;
    struct err err = ERR_INIT;
    if (stream_listen_tcp(fx->loop, "127.0.0.1", 0, on_accept, fx, &listener, &err) != STATUS_OK)
        fail_msg("%s", err_text(&err));
    return listener;
}

static int connect_tcp(const struct stream_listener *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)stream_listener_port(listener)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void a_connection_is_accepted_read_and_its_end_is_told(void **state)
{
    struct fixture *fx = *state;
    struct stream_listener *listener = listen_tcp(fx);
    int client = connect_tcp(listener);
    assert_int_equal(write(client, "hello", 5), 5);
    while (fx->received.size < 5) loop_turn(fx->loop, true);
    assert_string_equal(buf_cstr(&fx->received), "hello");
    char peer[STREAM_ADDRESS_BYTES];
    stream_peer(fx->accepted, peer);
    assert_int_equal(strncmp(peer, "127.0.0.1:", 10), 0);
    shutdown(client, SHUT_WR);
    while (!fx->ended) loop_turn(fx->loop, true);
    assert_int_equal(fx->end_status, STATUS_OK);
    close(client);
    stream_listener_close(listener);
}

static void a_reset_is_told_as_a_broken_connection(void **state)
{
    struct fixture *fx = *state;
    struct stream_listener *listener = listen_tcp(fx);
    int client = connect_tcp(listener);
    while (!fx->accepted) loop_turn(fx->loop, true);
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(client);
    while (!fx->ended) loop_turn(fx->loop, true);
    assert_int_equal(fx->end_status, STATUS_IO);
    stream_listener_close(listener);
}

static void a_write_larger_than_the_socket_takes_is_finished_later_in_order(void **state)
{
    struct fixture *fx = *state;
    struct stream_listener *listener = listen_tcp(fx);
    int client = connect_tcp(listener);
    while (!fx->accepted) loop_turn(fx->loop, true);
    enum { SIZE = 16 << 20 };
    uint8_t *bytes = malloc(SIZE), *back = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (uint8_t)(i * 31 + (i >> 12));
    const struct slice parts[] = {{bytes, 10}, {bytes + 10, 0}, {bytes + 10, SIZE - 10}};
    assert_false(stream_write(fx->accepted, parts, 3));
    size_t before = stream_unsent(fx->accepted);
    assert_true(before > 0 && before < SIZE);
    fcntl(client, F_SETFL, O_NONBLOCK);
    size_t got = 0;
    while (got < SIZE)
    {
        ssize_t count = read(client, back + got, SIZE - got);
        if (count > 0) got += (size_t)count;
        loop_turn(fx->loop, false);
    }
    while (!fx->written) loop_turn(fx->loop, true);
    assert_int_equal(fx->write_status, STATUS_OK);
    assert_int_equal(stream_unsent(fx->accepted), 0);
    assert_memory_equal(bytes, back, SIZE);
    free(bytes);
    free(back);
    close(client);
    stream_listener_close(listener);
}

static void a_write_to_one_who_has_gone_fails_later_and_not_inside_the_call(void **state)
{
    struct fixture *fx = *state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(stream_adopt(fx->loop, ends[0], &fx->accepted, NULL), STATUS_OK);
    stream_attach(fx->accepted, &handler, fx);
    close(ends[1]);
    const struct slice part = SLICE("x");
    assert_false(stream_write(fx->accepted, &part, 1));
    assert_false(fx->written);
    while (!fx->written) loop_turn(fx->loop, true);
    assert_int_equal(fx->write_status, STATUS_IO);
}

static void finishing_lets_the_other_side_read_to_the_end(void **state)
{
    struct fixture *fx = *state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(stream_adopt(fx->loop, ends[0], &fx->accepted, NULL), STATUS_OK);
    stream_attach(fx->accepted, &handler, fx);
    char peer[STREAM_ADDRESS_BYTES];
    stream_peer(fx->accepted, peer);
    assert_string_equal(peer, "unix");
    const struct slice parts[] = {SLICE("good"), SLICE("bye")};
    assert_true(stream_write(fx->accepted, parts, 2));
    stream_finish(fx->accepted);
    loop_turn(fx->loop, false);
    char text[16] = "";
    assert_int_equal(read(ends[1], text, sizeof text), 7);
    assert_string_equal(text, "goodbye");
    assert_int_equal(read(ends[1], text, sizeof text), 0);
    close(ends[1]);
}

static void what_is_no_socket_is_not_adopted(void **state)
{
    struct fixture *fx = *state;
    struct err err = ERR_INIT;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct stream *stream;
    assert_int_equal(stream_adopt(fx->loop, fd, &stream, &err), STATUS_INVALID_ARGUMENT);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed all the same */
}

/* ---- addresses ---- */

static void an_address_in_use_is_named(void **state)
{
    struct fixture *fx = *state;
    struct stream_listener *listener = listen_tcp(fx), *second;
    struct err err = ERR_INIT;
    char expected[128];
    snprintf(expected, sizeof expected, "listen on %s: address already in use",
             stream_listener_address(listener));
    assert_int_equal(stream_listen_tcp(fx->loop, "127.0.0.1", stream_listener_port(listener), on_accept, fx,
                                       &second, &err),
                     STATUS_ADDRESS_IN_USE);
    assert_string_equal(err.text, expected);
    stream_listener_close(listener);
}

static void an_address_that_is_none_is_named(void **state)
{
    struct fixture *fx = *state;
    struct stream_listener *listener;
    struct err err = ERR_INIT;
    assert_int_equal(stream_listen_tcp(fx->loop, "127.0.0.1", 70000, on_accept, fx, &listener, &err),
                     STATUS_INVALID_ARGUMENT);
    assert_string_equal(err.text, "listen on 127.0.0.1:70000: the port is above 65535");
    assert_int_equal(stream_listen_tcp(fx->loop, "not an address", 0, on_accept, fx, &listener, &err),
                     STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, "listen on not an address: "));
    /* A documentation address: never this machine's. */
    assert_int_equal(stream_listen_tcp(fx->loop, "192.0.2.1", 0, on_accept, fx, &listener, &err),
                     STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, "listen on 192.0.2.1:0: "));
}

static void a_unix_socket_has_the_mode_asked_for_whatever_the_umask(void **state)
{
    struct fixture *fx = *state;
    struct stream_listener *listener;
    mode_t old = umask(0);
    assert_int_equal(stream_listen_unix(fx->loop, fx->path, 0600, on_accept, fx, &listener, NULL), STATUS_OK);
    umask(old);
    struct stat info;
    assert_int_equal(stat(fx->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_string_equal(stream_listener_address(listener), fx->path);
    int client = connect_unix(fx->path);
    assert_int_equal(write(client, "x", 1), 1);
    while (fx->received.size < 1) loop_turn(fx->loop, true);
    close(client);
    stream_listener_close(listener);
    assert_int_equal(access(fx->path, F_OK), -1);
}

static void a_unix_socket_in_use_is_named_and_a_dead_one_is_replaced(void **state)
{
    struct fixture *fx = *state;
    struct stream_listener *listener, *second;
    struct err err = ERR_INIT;
    assert_int_equal(stream_listen_unix(fx->loop, fx->path, 0600, on_accept, fx, &listener, NULL), STATUS_OK);
    assert_int_equal(stream_listen_unix(fx->loop, fx->path, 0600, on_accept, fx, &second, &err),
                     STATUS_ADDRESS_IN_USE);
    char expected[160];
    snprintf(expected, sizeof expected, "listen on %s: address already in use", fx->path);
    assert_string_equal(err.text, expected);
    while (!fx->ended) loop_turn(fx->loop, true); /* the second had tried whether somebody answers */
    stream_listener_close(listener);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", fx->path);
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof address), 0);
    close(dead); /* the file stays behind, as after a kill */
    assert_int_equal(stream_listen_unix(fx->loop, fx->path, 0600, on_accept, fx, &listener, &err), STATUS_OK);
    stream_listener_close(listener);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct fixture *fx = *state;
    struct stream_listener *listener;
    struct err err = ERR_INIT;
    close(open(fx->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(stream_listen_unix(fx->loop, fx->path, 0600, on_accept, fx, &listener, &err),
                     STATUS_ADDRESS_IN_USE);
    assert_non_null(strstr(err.text, "a file of this name exists"));
    assert_int_equal(access(fx->path, F_OK), 0);
    char endless[300];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    assert_int_equal(stream_listen_unix(fx->loop, endless, 0600, on_accept, fx, &listener, &err),
                     STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, "the path of a unix socket is at most 107 bytes"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_accepted_read_and_its_end_is_told),
        TEST(a_reset_is_told_as_a_broken_connection),
        TEST(a_write_larger_than_the_socket_takes_is_finished_later_in_order),
        TEST(a_write_to_one_who_has_gone_fails_later_and_not_inside_the_call),
        TEST(finishing_lets_the_other_side_read_to_the_end),
        TEST(what_is_no_socket_is_not_adopted),
        TEST(an_address_in_use_is_named),
        TEST(an_address_that_is_none_is_named),
        TEST(a_unix_socket_has_the_mode_asked_for_whatever_the_umask),
        TEST(a_unix_socket_in_use_is_named_and_a_dead_one_is_replaced),
        TEST(a_file_that_is_no_socket_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
