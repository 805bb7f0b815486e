/* client.c - the libcurl adapter. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cli/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/check.h"
#include "runtime/cli/output.h"

void client_socket(const struct cli_line *line, struct buf *path)
{
    const char *admin = cli_option(line, "admin");
    if (!admin) admin = getenv("STEAD_ADMIN");
    if (admin && *admin)
        buf_append_cstr(path, admin);
    else
        buf_printf(path, "%s/admin.sock", cli_data_dir(line));
}

void client_escape(struct buf *out, struct slice text, bool slashes)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < text.size; i++)
    {
        unsigned char byte = ((const unsigned char *)text.data)[i];
        if ((byte && strchr(plain, byte)) || (slashes && byte == '/'))
            buf_append_byte(out, byte);
        else
            buf_printf(out, "%%%02X", byte);
    }
}

void client_reply_fini(struct client_reply *reply)
{
    buf_fini(&reply->headers);
    buf_fini(&reply->body);
}

/* ---- one transfer ---- */

struct transfer {
    CURL *curl;
    struct curl_slist *headers;
    struct buf socket;
    struct client_reply *reply;
    client_on_chunk_fn chunk; /* NULL: the body is kept */
    void *ctx;
    bool stopped; /* `chunk` has had enough */
    bool json; /* failures are told as the node tells its own */
};

static size_t on_body(char *data, size_t one, size_t size, void *ctx)
{
    struct transfer *transfer = ctx;
    long http_status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &http_status);
    struct slice bytes = slice_make(data, size);
    if (!transfer->chunk || http_status >= 300) /* errors are kept, to be shown */
        buf_append(&transfer->reply->body, bytes);
    else if (!transfer->chunk(transfer->ctx, bytes))
    {
        transfer->stopped = true;
        return 0;
    }
    return size;
}

static size_t on_header(char *data, size_t one, size_t size, void *ctx)
{
    struct transfer *transfer = ctx;
    if (slice_starts_with(slice_make(data, size), SLICE("HTTP/")))
        buf_reset(&transfer->reply->headers);
    else
        buf_append(&transfer->reply->headers, slice_make(data, size));
    return size;
}

static void transfer_init(struct transfer *transfer, const struct cli_line *line,
                          const struct client_request *request)
{
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    CURL *curl = transfer->curl = curl_easy_init();
    CHECK(curl);
    client_socket(line, &transfer->socket);
    transfer->json = line->json;
    struct buf url = BUF_INIT;
    buf_printf(&url, "http://stead%s", request->path);
    curl_easy_setopt(curl, CURLOPT_URL, buf_cstr(&url)); /* copies */
    buf_fini(&url);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, buf_cstr(&transfer->socket));
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    bool body = strcmp(request->method, "GET") != 0 && strcmp(request->method, "DELETE") != 0;
    if (body)
    {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.size ? request->body.data : "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
        transfer->headers = curl_slist_append(transfer->headers, "content-type: application/octet-stream");
        transfer->headers = curl_slist_append(transfer->headers, "expect:");
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    for (const char *const *header = request->headers; header && *header; header++)
        transfer->headers = curl_slist_append(transfer->headers, *header);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
}

static void transfer_fini(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->curl);
    curl_slist_free_all(transfer->headers);
    buf_fini(&transfer->socket);
}

/* With --json in the shape of the node's own errors, so that a script reads one shape only. */
static void complain_unavailable(bool json, const char *words, const char *hint)
{
    if (json)
    {
        json_t *error = json_pack("{s:{s:s, s:s, s:s, s:n}}", "error", "code", "unavailable", "message",
                                  words, "hint", hint, "invocation");
        output_json(error);
        json_decref(error);
        return;
    }
    (void)cli_complain(EXIT_UNREACHABLE, "%s (unavailable)%s%s", words, *hint ? "\n       " : "", hint);
}

static enum cli_exit transfer_run(struct transfer *transfer)
{
    CURLcode result = curl_easy_perform(transfer->curl);
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &transfer->reply->http_status);
    if (result == CURLE_OK || transfer->stopped) return EXIT_DONE;
    static const char nobody_hint[] =
        "Start one with `stead serve`, or say where it is: --admin PATH or --data DIR.";
    bool nobody = result == CURLE_COULDNT_CONNECT;
    struct buf words = BUF_INIT;
    if (nobody)
        buf_printf(&words, "no node answers at %s", buf_cstr(&transfer->socket));
    else
        buf_printf(&words, "the node at %s went away: %s", buf_cstr(&transfer->socket),
                   curl_easy_strerror(result));
    complain_unavailable(transfer->json, buf_cstr(&words), nobody ? nobody_hint : "");
    buf_fini(&words);
    return EXIT_UNREACHABLE;
}

enum cli_exit client_stream(const struct cli_line *line, const struct client_request *request,
                            client_on_chunk_fn chunk, void *ctx)
{
    struct client_reply reply = {0};
    struct transfer transfer = {.reply = &reply, .chunk = chunk, .ctx = ctx};
    transfer_init(&transfer, line, request);
    enum cli_exit code = transfer_run(&transfer);
    transfer_fini(&transfer);
    if (code == EXIT_DONE && reply.http_status >= 300)
    {
        client_show_error(line, &reply);
        code = EXIT_REFUSED;
    }
    client_reply_fini(&reply);
    return code;
}

enum cli_exit client_ask(const struct cli_line *line, const struct client_request *request,
                         struct client_reply *reply)
{
    *reply = (struct client_reply){0};
    struct transfer transfer = {.reply = reply};
    transfer_init(&transfer, line, request);
    enum cli_exit code = transfer_run(&transfer);
    transfer_fini(&transfer);
    if (code != EXIT_DONE) client_reply_fini(reply);
    return code;
}

bool client_alive(const struct cli_line *line)
{
    struct client_reply reply = {0};
    struct transfer transfer = {.reply = &reply};
    transfer_init(&transfer, line, &(struct client_request){.method = "GET", .path = "/v1/health"});
    bool alive = curl_easy_perform(transfer.curl) == CURLE_OK;
    transfer_fini(&transfer);
    client_reply_fini(&reply);
    return alive;
}

/* ---- errors ---- */

void client_show_error(const struct cli_line *line, const struct client_reply *reply)
{
    if (line->json)
    {
        fwrite(reply->body.data, 1, reply->body.size, stdout);
        return;
    }
    json_t *json = json_loadb((const char *)reply->body.data, reply->body.size, 0, NULL);
    const json_t *error = json_object_get(json, "error");
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *hint = json_string_value(json_object_get(error, "hint"));
    const char *invocation = json_string_value(json_object_get(error, "invocation"));
    if (code && message)
    {
        (void)cli_complain(EXIT_REFUSED, "%s (%s)", message, code);
        if (hint && *hint) fprintf(stderr, "       %s\n", hint);
        if (invocation && *invocation) fprintf(stderr, "       invocation %s\n", invocation);
    }
    else
        (void)cli_complain(EXIT_REFUSED, "the answer has status %ld: %.*s", reply->http_status,
                           (int)(reply->body.size < 500 ? reply->body.size : 500),
                           reply->body.size ? (const char *)reply->body.data : "");
    json_decref(json);
}

enum cli_exit client_demand(const struct cli_line *line, const struct client_request *request,
                            struct client_reply *reply)
{
    enum cli_exit code = client_ask(line, request, reply);
    if (code != EXIT_DONE || reply->http_status < 300) return code;
    client_show_error(line, reply);
    client_reply_fini(reply);
    return EXIT_REFUSED;
}

enum cli_exit client_json(const struct cli_line *line, const struct client_request *request, json_t **json)
{
    struct client_reply reply;
    enum cli_exit code = client_demand(line, request, &reply);
    if (code != EXIT_DONE) return code;
    *json = json_loadb((const char *)reply.body.data, reply.body.size, 0, NULL);
    client_reply_fini(&reply);
    if (*json) return EXIT_DONE;
    return cli_complain(EXIT_REFUSED, "the node's answer is not JSON");
}
