/* chat-room.c - rooms of people who talk: history in rows, a page, messages pushed over WebSocket and published on a channel. */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include <stead/stead.h>

enum { SHOWN = 50, KEPT = 1000, NAME_BYTES_MAX = 40, TEXT_BYTES_MAX = 2000 };

/* The text as a JSON string. */
static const char *json_text(struct stead_ctx *ctx, const char *text);
static bool is_utf8(const char *text);

/* ---- talking ---- */

/* Keeps and tells what was said; NULL when it was refused. Invocations of a room take turns, so the numbers have no gaps and
 * everybody sees the same order. */
static const char *say_it(struct stead_ctx *ctx, const char *name, const char *text)
{
    const char *why = NULL;
    if (!*stead_entity(ctx)) why = "which room?";
    if (!name || !*name || !*text) why = "a name and a text are needed";
    if (why || !is_utf8(name) || !is_utf8(text))
    {
        stead_reject(ctx, 400, "%s", why ? why : "names and texts are UTF-8");
        return NULL;
    }
    if (strlen(name) > NAME_BYTES_MAX || strlen(text) > TEXT_BYTES_MAX)
    {
        stead_reject(ctx, 413, "a name has at most %d bytes, a text %d", NAME_BYTES_MAX, TEXT_BYTES_MAX);
        return NULL;
    }
    long long number = stead_add(ctx, "messages", 1);
    const char *message =
        stead_format(ctx, "{\"id\":%lld,\"ms\":%lld,\"name\":%s,\"text\":%s}", number,
                     (long long)stead_now_ms(ctx), json_text(ctx, name), json_text(ctx, text));
    stead_put_text(ctx, stead_format(ctx, "message/%012lld", number), message);
    if (number > KEPT) stead_delete(ctx, stead_format(ctx, "message/%012lld", number - KEPT));
    /* Both leave when all this is safe, and not at all when it fails: nobody sees what a reload would not show. */
    stead_push_entity_text(ctx, NULL, message);
    stead_message_type(ctx, "application/json");
    stead_publish(ctx, "said", stead_entity(ctx), message, strlen(message));
    return message;
}

/* The newest messages, the oldest of them first; returns how many. */
static size_t newest(struct stead_ctx *ctx, const char *messages[SHOWN])
{
    struct stead_scan *scan = stead_scan(ctx, "message/");
    stead_scan_reverse(scan);
    stead_scan_limit(scan, SHOWN);
    const char *found[SHOWN];
    size_t count = 0;
    for (struct stead_row row; count < SHOWN && stead_scan_next(scan, &row); count++)
        found[count] = stead_format(ctx, "%.*s", STEAD_FMT(row.value));
    for (size_t i = 0; i < count; i++) messages[i] = found[count - 1 - i];
    return count;
}

/* A WebSocket connection of GET /rooms/lobby/ws?name=Ann: what was said before, then each text is said to all. The query comes
 * with every event. */
STEAD_FUNCTION(on_room)
{
    const char *event = stead_socket_event(ctx);
    if (strcmp(event, "open") == 0)
    {
        const char *messages[SHOWN];
        size_t count = newest(ctx, messages);
        for (size_t i = 0; i < count; i++) stead_push_text(ctx, stead_connection(ctx), messages[i]);
    }
    if (strcmp(event, "message") == 0)
    {
        if (strcmp(stead_header(ctx, "stead-message"), "text") != 0)
            return stead_reject(ctx, 400, "only texts can be said");
        say_it(ctx, stead_query(ctx, "name"), stead_body_text(ctx)); /* a refusal is the client's to read */
    }
    return stead_failure(ctx);
}

/* POST /rooms/lobby?name=Ann: the same for programs that have no WebSocket. */
STEAD_FUNCTION(say)
{
    const char *message = say_it(ctx, stead_query(ctx, "name"), stead_body_text(ctx));
    if (!message) return STEAD_FAILED;
    stead_reply_header(ctx, "content-type", "application/json");
    return stead_reply(ctx, "%s\n", message);
}

/* GET /rooms/lobby/messages */
STEAD_FUNCTION(history)
{
    const char *messages[SHOWN];
    size_t count = newest(ctx, messages);
    stead_reply_header(ctx, "content-type", "application/json");
    stead_reply(ctx, "[");
    for (size_t i = 0; i < count; i++) stead_reply(ctx, "%s%s", i ? "," : "", messages[i]);
    return stead_reply(ctx, "]\n");
}

/* ---- the page ---- */

/* The same for all rooms: it finds its room and its name in its address, and shows what comes as text, never as HTML. A message
 * may come twice, in the history and as a push, and a push may come before the history: ids tell. */
static const char page_text[] =
    "<!doctype html>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>Chat</title>\n"
    "<style>body { font: 16px sans-serif; max-width: 40em; margin: 1em auto }</style>\n"
    "<h1 id=\"room\"></h1>\n"
    "<ol id=\"messages\"></ol>\n"
    "<form id=\"join\" hidden><input name=\"name\" placeholder=\"Your name\" maxlength=\"40\" required> "
    "<button>Join</button></form>\n"
    "<form id=\"say\" hidden><input id=\"text\" placeholder=\"Message\" maxlength=\"500\" "
    "autocomplete=\"off\" "
    "required> <button>Say</button></form>\n"
    "<p id=\"state\"></p>\n"
    "<script>\n"
    "const part = id => document.getElementById(id);\n"
    "const room = location.pathname.split('/').pop();\n"
    "const name = new URLSearchParams(location.search).get('name');\n"
    "const shown = new Set();\n"
    "let socket;\n"
    "\n"
    "function show(message) {\n"
    "  if (shown.has(message.id)) return;\n"
    "  shown.add(message.id);\n"
    "  const item = document.createElement('li'), who = document.createElement('b');\n"
    "  who.textContent = message.name;\n"
    "  item.append(who, ' ' + message.text);\n"
    "  item.value = message.id;\n"
    "  const list = part('messages');\n"
    "  list.insertBefore(item, [...list.children].find(other => other.value > message.id) || null);\n"
    "  item.scrollIntoView();\n"
    "}\n"
    "\n"
    "function connect() {\n"
    "  const scheme = location.protocol === 'https:' ? 'wss://' : 'ws://';\n"
    "  socket = new WebSocket(scheme + location.host + location.pathname + '/ws' + location.search);\n"
    "  socket.onopen = () => part('state').textContent = 'connected as ' + name;\n"
    "  socket.onmessage = event => {\n"
    "    const message = JSON.parse(event.data);\n"
    "    if (message.error) part('state').textContent = message.error.message;\n"
    "    else show(message);\n"
    "  };\n"
    "  socket.onclose = () => {\n"
    "    part('state').textContent = 'not connected';\n"
    "    setTimeout(connect, 1000);\n"
    "  };\n"
    "}\n"
    "\n"
    "part('room').textContent = document.title = decodeURIComponent(room);\n"
    "part(name ? 'say' : 'join').hidden = false;\n"
    "part('say').onsubmit = event => {\n"
    "  event.preventDefault();\n"
    "  if (socket.readyState !== WebSocket.OPEN) return;\n"
    "  socket.send(part('text').value);\n"
    "  part('text').value = '';\n"
    "};\n"
    "if (name) connect();\n"
    "</script>\n";

/* GET /rooms/lobby */
STEAD_FUNCTION(page)
{
    stead_reply_header(ctx, "content-type", "text/html; charset=utf-8");
    stead_reply_header(ctx, "content-security-policy",
                       "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
                       "connect-src 'self'; form-action 'self'");
    return stead_reply_bytes(ctx, page_text, sizeof page_text - 1);
}

/* ---- texts ---- */

static const char *json_text(struct stead_ctx *ctx, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    char *json = stead_alloc(ctx, strlen(text) * 6 + 3), *out = json;
    *out++ = '"';
    for (; *text; text++)
    {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20)
        {
            memcpy(out, "\\u00", 4);
            out[4] = digits[byte >> 4];
            out[5] = digits[byte & 15];
            out += 6;
            continue;
        }
        if (byte == '"' || byte == '\\') *out++ = '\\';
        *out++ = *text;
    }
    *out++ = '"';
    *out = 0;
    return json;
}

static bool is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at)
    {
        /* How many bytes follow, and the least that so many can mean: no detours, no surrogates, nothing beyond Unicode. */
        static const unsigned long least[] = {0, 0x80, 0x800, 0x10000};
        int more = *at < 0x80 ? 0 : *at >> 5 == 6 ? 1 : *at >> 4 == 14 ? 2 : *at >> 3 == 30 ? 3 : -1;
        if (more < 0) return false;
        unsigned long code = more == 0 ? *at : *at & (0x3fU >> more);
        at++;
        for (int i = 0; i < more; i++, at++)
        {
            if (*at >> 6 != 2) return false; /* the end of the text, too */
            code = code << 6 | (*at & 0x3fU);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    }
    return true;
}
