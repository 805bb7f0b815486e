/* main.c - the daemon `steadd`: settings, the loop, signals, one node. */
// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/loop/loop.h"
#include "runtime/node/config.h"
#include "runtime/node/node.h"

static void on_stop_signal(void *ctx, int signal)
{
    log_info("node.stopping", "signal=%s", sigabbrev_np(signal));
    node_drain(ctx);
}

static void usage(FILE *out)
{
    fprintf(
        out,
        "steadd: the Stead node daemon\n\nUsage: steadd [--NAME VALUE]... [--config FILE]\n\nSettings:\n");
    config_help(out);
    fprintf(out,
            "\nA config file has `name: value` lines; later settings win. docs/man/steadd.8 says more.\n");
}

static int fail(const char *what, const struct err *err)
{
    log_error("node.failed", "code=%s %s: %s", status_code(err->status), what, err_text(err));
    const char *hint = status_hint(err->status);
    if (hint[0]) log_error("node.failed", "hint=\"%s\"", hint);
    return 1;
}

enum { MAPPED_BLOCK_BYTES = 512 * 1024 };

int main(int argc, char **argv)
{
    static struct config config;
    struct err err = ERR_INIT;
    bool help = false;
    config_init(&config);
    if (config_parse(&config, argc, argv, &help, &err) != STATUS_OK)
    {
        fprintf(stderr, "steadd: %s\n", err_text(&err));
        return 2;
    }
    if (help)
    {
        usage(stdout);
        return 0;
    }
    enum log_level level;
    if (!log_level_from_name(config.log_level, &level))
    {
        fprintf(stderr, "steadd: log.level: expected debug, info, warn or error, got '%s'\n",
                config.log_level);
        return 2;
    }
    log_level_set(level);
    /* The C library would learn to take blocks as large as those of a store that was closed from the heap, where they stay:
     * for each app that sleeps. */
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BLOCK_BYTES); /* a wish */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* cannot fail with these arguments */

    struct loop *loop;
    struct node *node;
    if (loop_create(&loop, clock_real(), &err) != STATUS_OK) return fail("event loop", &err);
    if (node_open(&node, loop, &config, &err) != STATUS_OK) return fail("start", &err);
    if (loop_on_signal(loop, SIGTERM, on_stop_signal, node, &err) != STATUS_OK ||
        loop_on_signal(loop, SIGINT, on_stop_signal, node, &err) != STATUS_OK)
        return fail("signals", &err);
    loop_run(loop);
    node_destroy(node);
    loop_destroy(loop);
    log_info("node.stopped", "data=%s", config.data);
    return 0;
}
