/* client.h - requests to the admin API of a node over its unix socket. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <jansson.h>

#include "runtime/base/buf.h"
#include "runtime/cli/cli.h"

struct client_request {
    const char *method; /* "GET" */
    const char *path; /* "/v1/apps", encoded */
    struct slice body;
    const char *const *headers; /* "name: value", ended by NULL; may be NULL */
};

struct client_reply {
    long http_status; /* 0: no node answered */
    struct buf headers; /* as received, without the status line */
    struct buf body;
};

/* Where the node is: --admin, $STEAD_ADMIN, admin.sock in the data directory. Appends the path. */
void client_socket(const struct cli_line *line, struct buf *path);
/* EXIT_DONE: there is a reply, whatever its status. EXIT_UNREACHABLE: said why. */
enum cli_exit client_ask(const struct cli_line *line, const struct client_request *request,
                         struct client_reply *reply);
/* The same; an error reply is shown (as JSON with --json) and becomes EXIT_REFUSED. */
enum cli_exit client_demand(const struct cli_line *line, const struct client_request *request,
                            struct client_reply *reply);
/* And parses the body of a good reply. *json is the caller's, who decrefs it. */
enum cli_exit client_json(const struct cli_line *line, const struct client_request *request, json_t **json);
/* Hands over the body as it comes, until it ends or `chunk` returns false. */
typedef bool (*client_on_chunk_fn)(void *ctx, struct slice bytes);
enum cli_exit client_stream(const struct cli_line *line, const struct client_request *request,
                            client_on_chunk_fn chunk, void *ctx);
void client_reply_fini(struct client_reply *reply);
/* Shows the error in a reply. */
void client_show_error(const struct cli_line *line, const struct client_reply *reply);
/* True when a node answers there. Says nothing. */
bool client_alive(const struct cli_line *line);

/* Appends `text` percent-encoded; slashes stay when `slashes`. */
void client_escape(struct buf *out, struct slice text, bool slashes);
